"""Folders in an object store: each appears whole or not at all, and is checked as it comes in.

An S3, Google or Azure bucket by obstore, or a folder that several machines mount. What the folders
hold is their writers' business; credentials are obstore's, from the environment.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BeforeValidator, Field, NonNegativeInt

from movierec_serving.bundle.array_files import sha256_of
from movierec_serving.bundle.documents import Document, Strict
from movierec_serving.bundle.files import staged_directory, write_file
from movierec_serving.errors import BundleError, StoreError

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Driver

INDEX = "index.json"
TIMEOUT = 10.0  # seconds for one request; a large file is read in many
RETRIES = 3
PIECE = 2**23  # bytes of one request
AT_ONCE = 4  # files that are moved at the same time
Address = Annotated[  # a folder is one, too
    str,
    BeforeValidator(lambda given: f"file://{given}" if str(given).startswith("/") else given),
    Field(pattern=r"^(s3|gs|az|file)://[^@?#]+$"),  # credentials have no place in it,
]
FileName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.(npy|json)$")]  # leads nowhere else


class Stored(Strict):
    """One file of a folder. Its object is named by the sha256, so it is never overwritten by other
    bytes, and what a killed writer left is a part of the next one's work.
    """

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: NonNegativeInt


class Index(Document):
    """The document that makes a folder be there: written last, once, and never changed."""

    FORMATS: ClassVar = (1,)

    files: Mapping[FileName, Stored]

    @classmethod
    def of(cls, folder: Path) -> "Index":
        """What a local folder holds."""
        return cls(
            format_version=1,
            files={
                path.name: Stored(sha256=sha256_of(path), bytes=path.stat().st_size)
                for path in sorted(folder.iterdir())
            },
        )

    def fits(self, folder: Path) -> bool:
        """Whether a local folder has these files: all sizes, and the documents' every byte."""
        try:
            return all(
                (folder / name).stat().st_size == file.bytes
                and (name.endswith(".npy") or sha256_of(folder / name) == file.sha256)
                for name, file in self.files.items()
            )
        except OSError:
            return False


class ObjectStore:
    """A bucket, or a part of it, by its URL. Made without a look at it: each process connects when
    it first asks, since a connection does not outlive a fork.

    Every method raises StoreError when the store does not do what it was asked.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        self.url, self._timeout = url, timeout

    def index(self, name: str) -> Index | None:
        """What a folder holds; None where there is none."""
        content = self.read(f"{name}/{INDEX}")
        if content is None:
            return None
        try:
            return Index.from_json(content, f"{self.url}/{name}/{INDEX}")
        except BundleError as error:
            raise StoreError(str(error)) from error

    def put(self, name: str, folder: Path) -> Index:
        """Make a local folder be there as `name`; the index that is there afterwards.

        That is another one where somebody else was first. Each byte is read back before a file is
        counted as written; of a folder that is there, what was lost is written again.
        """
        known, index = self.index(name), Index.of(folder)
        if known not in (None, index):
            return known

        def put_file(path: str, file: Stored) -> None:
            self._put_file(f"{name}/{file.sha256}", folder / path, file, known is None)

        _at_once(put_file, index)
        if known is None and not self.create(f"{name}/{INDEX}", index.to_json().encode()):
            return self.index(name) or index
        return index

    def get(self, name: str, index: Index, final: Path) -> None:
        """Make `final` the folder that is there as `name`, at once or not at all.

        Raises:
            OSError: it cannot be written here.
        """
        with staged_directory(final) as staged:

            def get_file(path: str, file: Stored) -> None:
                self._get_file(f"{name}/{file.sha256}", file, staged / path)

            _at_once(get_file, index)

    def remove(self, name: str) -> None:
        """Take a folder away, with what killed writers left of it. The index goes last, so that a
        call after a kill knows what is left, whatever a list says.
        """
        import obstore

        index = self.index(name)
        known = {f"{name}/{file.sha256}" for file in index.files.values()} if index else set()
        with self._asked(name):
            listed = {
                object_["path"] for page in obstore.list(self._driver, name) for object_ in page
            }
            last = f"{name}/{INDEX}"
            for path in (*sorted((known | listed) - {last}), last):
                with suppress(FileNotFoundError):  # a folder says so, a bucket does not
                    obstore.delete(self._driver, path)

    def read(self, name: str) -> bytes | None:
        """A small object's content; None where there is none."""
        import obstore

        with self._asked(name):
            try:
                return bytes(obstore.get(self._driver, name).bytes())
            except FileNotFoundError:
                return None

    def size(self, name: str) -> int | None:
        """How many bytes an object has; None where there is none."""
        import obstore

        with self._asked(name):
            try:
                return obstore.head(self._driver, name)["size"]
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """Make this a small object's content, whatever it was."""
        import obstore

        with self._asked(name):
            obstore.put(self._driver, name, content, use_multipart=False)

    def create(self, name: str, content: bytes) -> bool:
        """Write a small object that must not be there; whether this content is there afterwards.

        An answer that was lost, and a second try of the same, are no failure.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with self._asked(name):
            try:
                obstore.put(self._driver, name, content, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return self.read(name) == content
            return True

    def _put_file(self, name: str, path: Path, file: Stored, thoroughly: bool) -> None:
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

    def _get_file(self, name: str, file: Stored, path: Path) -> None:
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

    @contextmanager
    def _asked(self, name: str) -> Iterator[None]:
        """Turn what obstore raises into a StoreError, without its lines of inner state."""
        from obstore.exceptions import BaseError

        try:
            yield
        except BaseError as error:
            first = str(error).partition("\n")[0]
            raise StoreError(f"{self.url}/{name}: {first}") from error

    @cached_property
    def _driver(self) -> "Driver":
        from obstore.store import from_url

        if self.url.startswith("file://"):
            return from_url(self.url, mkdir=True)
        plain = os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true"
        return from_url(
            self.url,
            client_options={"timeout": timedelta(seconds=self._timeout), "allow_http": plain},
            retry_config={
                "max_retries": RETRIES,
                "retry_timeout": timedelta(seconds=RETRIES * self._timeout),
            },
        )


def _at_once(job: Callable[[str, Stored], None], index: Index) -> None:
    """Call a function for several files at a time; the first error ends it."""
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        for done in as_completed(pool.submit(job, *file) for file in index.files.items()):
            done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def sha256(pieces: Iterable[bytes]) -> str:
    """The sha256 (hex) of bytes that come in pieces."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
