"""A folder's copy in an object store, for a home that loses its disk.

`<name>/index.json` names the files of the copy; the object `<name>/<sha256>` has a file's bytes.
They are there, and were read back, before the index names a file, and the index lets go of a file
before they go. So whatever was killed in between, what the index names is whole, and what it calls
leaving is deleted by the next change. No decision rests on the store's list of objects.

Which files a folder has, and which of them are news, is said by `shared_chunks`, `shared_bundles`
and `home_files`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, ClassVar

from filelock import FileLock
from pydantic import Field

from movierec_serving.bundle import StoreError
from movierec_serving.bundle.documents import Document
from movierec_serving.bundle.files import replace_file
from movierec_serving.bundle.object_store import ObjectStore, at_once
from movierec_serving.bundle.objects import Mark
from movierec_serving.bundle.stored import Stored

FAILURES = 8  # files that fail before the others are not tried: the store is away
TRIES = 20  # changes of others that one change gives way to
Files = Mapping[str, Stored]


class Contents(Document):
    """What a copy has: files by their path in the folder, and objects that are to be deleted."""

    FORMATS: ClassVar = (1,)

    home: str  # whose it is: `copy.id` in that archive's folder; "" before there is a copy
    files: Files
    leaving: tuple[Annotated[str, Field(pattern="^[0-9a-f]{64}$")], ...]

    @property
    def objects(self) -> set[str]:
        return {file.sha256 for file in self.files.values()}

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(file.bytes for file in self.files.values())

    def having(self, files: Files, home: str) -> Contents:
        """The same copy with these files instead."""
        leaving = ({*self.leaving} | self.objects) - {file.sha256 for file in files.values()}
        return Contents(format_version=1, home=home, files=files, leaving=tuple(sorted(leaving)))


class SharedFolder:
    """The copy of a folder; one process of this machine at a time changes it.

    Every method raises StoreError when the store does not do what it was asked. Nothing here is
    lost then, and the next call goes on.

    Args:
        archive: the folder that keeps the home's id: the archive of chunks.
    """

    NAME: ClassVar[str]  # in the store
    FILE: ClassVar[str]  # pattern of the paths that a copy may have; leads nowhere else
    LOCK: ClassVar[str]

    def __init__(self, store: ObjectStore, folder: Path, archive: Path) -> None:
        self.store, self._folder, self._archive = store, folder, archive
        self._id = archive / "copy.id"

    def contents(self) -> Contents:
        """What the copy has."""
        return self._read()[0]

    def _here(self) -> dict[str, Path]:
        """The folder's files by their paths in the copy."""
        raise NotImplementedError

    def _news(
        self, here: Mapping[str, Path], known: Contents, every: bool
    ) -> Iterable[tuple[str, Stored]]:
        """The files here that the copy is to have, and has not, or has otherwise."""
        raise NotImplementedError

    def _send(self, gone: Callable[[str], bool], every: bool) -> dict[str, Stored]:
        """Let the copy have what is news here; the files that it had not.

        Args:
            gone: says of a path whether the copy is to have it no longer.
            every: no byte is in the store afterwards but of the files that are here.
        """
        with self._alone():
            known, here = self.contents(), self._here()
            self._claim(known)
            unseen = {path for path in known.files if path not in here and not gone(path)}
            if every and unseen:
                raise StoreError(
                    f"{self.store.url}/{self.NAME}: {len(unseen)} of its files are not here, so "
                    "nobody looked whom they name; try again"
                )
            news = self._news(here, known, every)
            new = {path: file for path, file in news if not gone(path)}
            at_once(self._put, new, FAILURES)
            if new or known.leaving or any(map(gone, known.files)):
                self._change(lambda files: {p: f for p, f in files.items() if not gone(p)} | new)
            if every:  # what killed writers left
                named = self.contents().objects
                listed = self.store.listed(self.NAME) - {self._index}
                self.store.delete(name for name in listed if name.split("/")[1] not in named)
        return new

    @contextmanager
    def _bringing(self) -> Iterator[Contents]:
        """What the copy has, of which this home may take what it lacks."""
        with self._alone():
            known = self.contents()
            if known.home and not self._id.exists():
                replace_file(self._id, known.home.encode())
            self._claim(known)
            yield known

    def own(self) -> str:
        """This home's id, where the copy is not another home's."""
        return self._claim(self.contents())

    def _claim(self, known: Contents) -> str:
        """This home's id, made when it is first needed; the copy must not be another home's."""
        if not known.home and not self._id.exists():
            replace_file(self._id, secrets.token_hex(16).encode())
        own = self._id.read_text() if self._id.exists() else ""
        if known.home not in ("", own):
            raise StoreError(
                f"{self.store.url}/{self.NAME}: the {self.NAME} there are another home's: set "
                "another MOVIEREC_STORE; if this home lost its disk, run `movierec recover --apply`"
            )
        return own

    def _change(self, changed: Callable[[Files], Files]) -> None:
        for _ in range(TRIES):
            known, mark = self._read()
            after = known.having(changed(known.files), self._claim(known))
            if after == known or self._write(after, mark):
                break
        else:
            raise StoreError(f"{self.store.url}/{self._index}: too many others change it")
        if after.leaving:
            self._delete(after.leaving)
            known, mark = self._read()
            # What others let go of meanwhile, or a refused write, is left to the next change.
            left = tuple(name for name in known.leaving if name not in after.leaving)
            self._write(known.model_copy(update={"leaving": left}), mark)

    @property
    def _index(self) -> str:
        return f"{self.NAME}/index.json"

    def _read(self) -> tuple[Contents, Mark | None]:
        there = self.store.document(self._index, Contents)
        if there is None:
            return Contents(format_version=1, home="", files={}, leaving=()), None
        for path in there[0].files:
            if not re.fullmatch(self.FILE, path):
                where = f"{self.store.url}/{self._index}"
                raise StoreError(f"{where}: {path!r} is no file of {self.NAME}")
        return there

    def _write(self, contents: Contents, mark: Mark | None) -> bool:
        return self.store.swap(self._index, contents.to_json().encode(), mark)

    def _put(self, path: str, file: Stored) -> None:
        self.store.put_file(self._object(file.sha256), self._folder / path, file, thoroughly=True)

    def _get(self, path: str, file: Stored) -> None:
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
        try:
            self.store.get_file(self._object(file.sha256), file, fresh)
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)

    def _delete(self, objects: Collection[str]) -> None:
        self.store.delete(map(self._object, objects))

    def _object(self, sha256: str) -> str:
        return f"{self.NAME}/{sha256}"

    def _get_all(self, files: Files) -> None:
        at_once(self._get, files, FAILURES)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._archive.mkdir(parents=True, exist_ok=True)
        with FileLock(self._archive / self.LOCK):
            yield
