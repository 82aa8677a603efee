"""The chunk archive's copy in an object store, for a home that loses its disk.

`chunks/index.json` names every file of the archive's folder; the object `chunks/<sha256>` has its
bytes. They are there, and were read back, before the index names a file, and the index lets go of a
file before they go. So whatever was killed in between, what the index names is whole, and what it
calls leaving is deleted by the next change. No decision rests on the store's list of objects.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, ClassVar

from filelock import FileLock
from pydantic import Field

from movierec_serving.bundle import BundleError, StoreError
from movierec_serving.bundle.documents import Document
from movierec_serving.bundle.files import replace_file
from movierec_serving.bundle.object_store import AT_ONCE, ObjectStore
from movierec_serving.bundle.objects import Mark
from movierec_serving.bundle.stored import Stored

FOLDER = "chunks"
INDEX = f"{FOLDER}/index.json"
FAILURES = 8  # files that fail before the others are not tried: the store is away
TRIES = 20  # changes of others that one change gives way to
FILE = (  # a chunk, its receipt, a source's declaration; leads nowhere else
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9a-f]{64}(\.json)?"
    r"|sources/[a-z0-9][a-z0-9_-]{0,63}/[0-9a-f]{64}\.json)$"
)
Files = Mapping[Annotated[str, Field(pattern=FILE)], Stored]


class Contents(Document):
    """What the copy has: files by their path in the archive, and objects that are to be deleted."""

    FORMATS: ClassVar = (1,)

    home: str  # whose it is: `copy.id` in that archive's folder; "" before there is a copy
    files: Files
    leaving: tuple[Annotated[str, Field(pattern="^[0-9a-f]{64}$")], ...]

    @property
    def names(self) -> set[tuple[str, str]]:
        """(day, sha256) of every chunk."""
        return _chunks(self.files)

    @property
    def objects(self) -> set[str]:
        return {file.sha256 for file in self.files.values()}

    def having(self, files: Files, home: str) -> Contents:
        """The same copy with these files instead."""
        leaving = ({*self.leaving} | self.objects) - {file.sha256 for file in files.values()}
        return Contents(format_version=1, home=home, files=files, leaving=tuple(sorted(leaving)))


class SharedChunks:
    """The copy of the archive in `folder`; one process of this machine at a time changes it.

    Every method raises StoreError when the store does not do what it was asked. Nothing here is
    lost then, and the next call goes on.
    """

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self.store, self._folder, self._id = store, folder, folder / "copy.id"

    def contents(self) -> Contents:
        """What the copy has."""
        return self._read()[0]

    def send(self, without: Collection[tuple[str, str]] | None = None) -> int:
        """Let the copy have every file that is here; how many it had not, or had otherwise.

        Args:
            without: (day, sha256) of the chunks that were taken out here. No byte of them is in the
                store afterwards, nor of anything that the index does not name.
        """
        with self._alone():
            known, here = self.contents(), self._here()
            self._claim(known)
            if without is not None and (unseen := known.names - _chunks(here) - {*without}):
                raise StoreError(
                    f"{self.store.url}/{FOLDER}: {len(unseen)} of its chunks are not here, so "
                    "nobody looked whom they name; try again"
                )
            new = dict(self._unknown(here, known))
            _at_once(self._put, new)
            gone = {f"{day}/{name}{end}" for day, name in without or () for end in ("", ".json")}
            if new or gone or known.leaving:
                self._change(
                    lambda files: {p: f for p, f in {**files, **new}.items() if p not in gone}
                )
            if without is not None:  # what killed writers left
                named = {f"{FOLDER}/{name}" for name in self.contents().objects}
                self.store.delete(self.store.listed(FOLDER) - named - {INDEX})
        return len(new)

    def bring(self) -> int:
        """Have every file here that the copy has; how many were not. Those that are here stay."""
        with self._alone():
            known, here = self.contents(), self._here()
            if known.home and not self._id.exists():
                replace_file(self._id, known.home.encode())
            self._claim(known)
            lacking = {p: f for p, f in known.files.items() if p not in here}
            documents = {path: file for path, file in lacking.items() if path.endswith(".json")}
            _at_once(self._get, documents)  # a chunk without its receipt would be guessed at
            _at_once(self._get, {p: f for p, f in lacking.items() if p not in documents})
        return len(lacking)

    def mend(self, day: str, sha256: str) -> bool:
        """Have a sound copy of one chunk here; whether there is one."""
        size = self.store.size(f"{FOLDER}/{sha256}")
        if size is not None:
            self._get((f"{day}/{sha256}", Stored(sha256=sha256, bytes=size)))
        return size is not None

    def _claim(self, known: Contents) -> str:
        """This home's id, made when it is first needed; the copy must not be another home's."""
        if not known.home and not self._id.exists():
            replace_file(self._id, secrets.token_hex(16).encode())
        own = self._id.read_text() if self._id.exists() else ""
        if known.home not in ("", own):
            raise StoreError(
                f"{self.store.url}/{FOLDER}: the chunks there are another home's: set another "
                "MOVIEREC_STORE; if this home lost its disk, run `movierec recover --apply`"
            )
        return own

    def _change(self, changed: Callable[[Files], Files]) -> None:
        for _ in range(TRIES):
            known, mark = self._read()
            after = known.having(changed(known.files), self._claim(known))
            if after == known or self._write(after, mark):
                break
        else:
            raise StoreError(f"{self.store.url}/{INDEX}: too many others change it; try again")
        if after.leaving:
            self.store.delete({f"{FOLDER}/{name}" for name in after.leaving})
            known, mark = self._read()
            # What others let go of meanwhile, or a refused write, is left to the next change.
            left = tuple(name for name in known.leaving if name not in after.leaving)
            self._write(known.model_copy(update={"leaving": left}), mark)

    def _read(self) -> tuple[Contents, Mark | None]:
        there = self.store.marked(INDEX)
        if there is None:
            return Contents(format_version=1, home="", files={}, leaving=()), None
        try:
            return Contents.from_json(there[0], f"{self.store.url}/{INDEX}"), there[1]
        except BundleError as error:
            raise StoreError(str(error)) from error

    def _write(self, contents: Contents, mark: Mark | None) -> bool:
        return self.store.swap(INDEX, contents.to_json().encode(), mark)

    def _here(self) -> dict[str, Path]:
        paths = {
            path.relative_to(self._folder).as_posix(): path for path in self._folder.rglob("*")
        }
        return {name: path for name, path in paths.items() if re.match(FILE, name)}

    def _unknown(self, here: Mapping[str, Path], known: Contents) -> Iterator[tuple[str, Stored]]:
        """The files that the copy has not; a chunk that was altered is none of them."""
        for name, path in here.items():
            chunk = path.suffix == ""
            if not (chunk and name in known.files):
                file = Stored.of(path)
                if known.files.get(name) != file and not (chunk and file.sha256 != path.name):
                    yield name, file

    def _put(self, named: tuple[str, Stored]) -> None:
        path, file = named
        self.store.put_file(f"{FOLDER}/{file.sha256}", self._folder / path, file, thoroughly=True)

    def _get(self, named: tuple[str, Stored]) -> None:
        path, file = named
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
        try:
            self.store.get_file(f"{FOLDER}/{file.sha256}", file, fresh)
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / ".shared.lock"):
            yield


def _at_once(job: Callable[[tuple[str, Stored]], None], files: Files) -> None:
    """Do it for all files, several at a time, whichever fail, unless `FAILURES` do; then raise the
    first error.
    """
    errors: list[StoreError] = []
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        for done in as_completed(pool.submit(job, file) for file in files.items()):
            try:
                done.result()
            except StoreError as error:
                errors.append(error)
                if len(errors) == FAILURES:
                    break
    finally:
        pool.shutdown(cancel_futures=True)
    if errors:
        raise errors[0]


def _chunks(paths: Mapping[str, object]) -> set[tuple[str, str]]:
    """(day, sha256) of the chunks among the archive's files."""
    split = (path.split("/") for path in paths if not path.endswith(".json"))
    return {(day, sha256) for day, sha256 in split}
