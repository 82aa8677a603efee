"""Folders in an object store: each appears whole or not at all, and is checked as it comes in.

What the folders hold is their writers' business.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

from movierec_serving.bundle.array_files import sha256_of
from movierec_serving.bundle.documents import Document
from movierec_serving.bundle.files import staged_directory, write_file
from movierec_serving.bundle.objects import PIECE, Mark, Objects
from movierec_serving.bundle.stored import INDEX, Index, Stored
from movierec_serving.errors import BundleError, StoreError

AT_ONCE = 4  # files that are moved at the same time
Kind = TypeVar("Kind", bound=Document)


class ObjectStore(Objects):
    """Objects, and folders and files of them, whose bytes are checked both ways."""

    def document(self, name: str, kind: type[Kind]) -> tuple[Kind, "Mark"] | None:
        """A sealed document, and the mark of this state of it; None where there is none."""
        there = self.marked(name)
        if there is None:
            return None
        try:
            return kind.from_json(there[0], f"{self.url}/{name}"), there[1]
        except BundleError as error:
            raise StoreError(str(error)) from error

    def index(self, name: str) -> Index | None:
        """What a folder holds; None where there is none."""
        there = self.document(f"{name}/{INDEX}", Index)
        return there[0] if there else None

    def put(self, name: str, folder: Path) -> Index:
        """Make a local folder be there as `name`; the index that is there afterwards.

        That is another one where somebody else was first. Each byte, also of the index, is read
        back before it counts as written; of a folder that is there, what was lost is written again.
        """
        known, index = self.index(name), Index.of(folder)
        if known not in (None, index):
            return known

        def put_file(path: str, file: Stored) -> None:
            self.put_file(f"{name}/{file.sha256}", folder / path, file, known is None)

        at_once(put_file, index.files)
        if known is None and not self.swap(f"{name}/{INDEX}", index.to_json().encode(), None):
            return self.index(name) or index
        return index

    def get(self, name: str, index: Index, final: Path) -> None:
        """Make `final` the folder that is there as `name`, at once or not at all.

        Raises:
            OSError: it cannot be written here.
        """
        with staged_directory(final) as staged:

            def get_file(path: str, file: Stored) -> None:
                self.get_file(f"{name}/{file.sha256}", file, staged / path)

            at_once(get_file, index.files)

    def remove(self, name: str) -> None:
        """Take a folder away, with what killed writers left of it. The index goes last, so that a
        call after a kill knows what is left, whatever a list says.
        """
        index = self.index(name)
        known = {f"{name}/{file.sha256}" for file in index.files.values()} if index else set()
        last = f"{name}/{INDEX}"
        self.delete((known | self.listed(name)) - {last})
        self.delete({last})

    def put_file(self, name: str, path: Path, file: Stored, thoroughly: bool) -> None:
        """Make a local file's bytes an object, unless it has them.

        Args:
            thoroughly: compare also an object that was there byte by byte, not by its size.
        """
        import obstore

        for _ in range(2):
            if self._holds(name, file, thoroughly):
                return
            with self._asked(name):
                obstore.put(self._driver, name, path)
        if not self._holds(name, file, thoroughly):
            raise StoreError(f"{self.url}/{name}: reads back as other bytes than were written")

    def _holds(self, name: str, file: Stored, thoroughly: bool) -> bool:
        if self.size(name) != file.bytes:
            return False
        return not thoroughly or sha256(self._pieces(name, file)) == file.sha256

    def get_file(self, name: str, file: Stored, path: Path) -> None:
        """Write an object's bytes, and no others, to a new local file."""
        for _ in range(2):  # a body that was cut short may be whole the next time
            path.unlink(missing_ok=True)
            write_file(path, self._pieces(name, file))
            if sha256_of(path) == file.sha256:
                return
        raise StoreError(f"{self.url}/{name}: altered, its sha256 is not the index's")

    def _pieces(self, name: str, file: Stored) -> Iterator[bytes]:
        """An object's first `file.bytes` bytes, as they are asked for."""
        import obstore

        for start in range(0, file.bytes, PIECE):
            end = min(start + PIECE, file.bytes)
            with self._asked(name):
                try:
                    piece = obstore.get_range(self._driver, name, start=start, end=end)
                except FileNotFoundError:
                    raise StoreError(f"{self.url}/{name}: lost, and the index names it") from None
            yield bytes(piece)


def at_once(
    job: Callable[[str, Stored], None], files: Mapping[str, Stored], failures: int = 1
) -> None:
    """Call a function for several files at a time, and raise the first StoreError.

    Args:
        failures: of the store, after which the files that are left are not tried.
    """
    errors: list[StoreError] = []
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        for done in as_completed(pool.submit(job, *file) for file in files.items()):
            try:
                done.result()
            except StoreError as error:
                errors.append(error)
                if len(errors) == failures:
                    break
    finally:
        pool.shutdown(cancel_futures=True)
    if errors:
        raise errors[0]


def sha256(pieces: Iterable[bytes]) -> str:
    """The sha256 (hex) of bytes that come in pieces."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
