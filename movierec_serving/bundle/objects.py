"""Small objects of a store: read, written, created once, changed on a condition, taken away.

An S3, Google or Azure bucket by obstore, or a folder that several machines mount. Credentials are
obstore's, from the environment.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

from pydantic import BeforeValidator, Field

from movierec_serving.errors import OddNameError, StoreError

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta, PutMode, PutResult, UpdateVersion
    from obstore.store import ObjectStore as Driver
TIMEOUT = 10.0  # seconds for one request; a large file is read in many
PIECE = 2**23  # bytes of one of these
RETRIES = 3
NO_ADDRESS = "is AWS_ENDPOINT_URL an address that begins with http:// or https://?"
Mark: TypeAlias = "UpdateVersion"  # of one state of an object
Address = Annotated[  # a folder is one, too
    str,
    BeforeValidator(lambda given: f"file://{given}" if str(given).startswith("/") else given),
    Field(pattern=r"^(s3|gs|az|file)://[^@?#]+$"),  # credentials have no place in it,
]


class Listed(NamedTuple):
    """An object as a list has it: its bytes, and a mark that changes when it does."""

    size: int
    mark: str


class Objects:
    """A bucket, or a part of it, by its URL. Made without a look at it: each process connects when
    it first asks, since a connection does not outlive a fork.

    Every method raises StoreError when the store does not do what it was asked.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        self.url, self._timeout = url, timeout

    def read(self, name: str) -> bytes | None:
        """A small object's content; None where there is none."""
        there = self.marked(name)
        return there[0] if there else None

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

    def marked(self, name: str) -> "tuple[bytes, Mark] | None":
        """A small object's content, and the mark of this state of it; None where there is none."""
        import obstore

        with self._asked(name):
            try:
                there = obstore.get(self._driver, name)
                return bytes(there.bytes()), _mark(there.meta)
            except FileNotFoundError:
                return None

    def swap(self, name: str, content: bytes, mark: "Mark | None") -> bool:
        """Write a small object if it still has this mark, or is not there still; whether this
        content is there afterwards, read back.

        A folder knows no such condition: its writers take turns by a lock of their own.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        folder = self.url.startswith("file://")
        for _ in range(2):
            with self._asked(name):
                try:
                    mode: PutMode = "create" if mark is None else "overwrite" if folder else mark
                    put = obstore.put(self._driver, name, content, mode=mode, use_multipart=False)
                except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                    return self.read(name) == content  # the answer to a first try was lost
            there = self.marked(name)
            if there is not None and there[0] == content:
                return True
            mark = _mark(put)
            if there is None or there[1] != mark:  # others went on from it
                return False
        raise StoreError(f"{self.url}/{name}: reads back as other bytes than were written")

    def listed(self, name: str) -> set[str]:
        """The objects of a folder as the store lists them, which may be an old list."""
        return set(self.states(name))

    def states(self, folder: str) -> "dict[str, Listed]":
        """All objects of a folder by their names, as the store lists them, which may be an old
        list. OddNameError if it cannot be read for one of them.
        """
        import obstore

        with self._asked(folder):
            pages = obstore.list(self._driver, folder)
            return {meta["path"]: _listed(meta) for page in pages for meta in page}

    def top(self) -> "tuple[dict[str, Listed], set[str]]":
        """As `states`, the objects that are in no folder, and the names of the folders."""
        import obstore

        with self._asked(""):
            top = obstore.list_with_delimiter(self._driver)
            objects = {meta["path"]: _listed(meta) for meta in top["objects"]}
            return objects, set(top["common_prefixes"])

    def whole(self, name: str, size: int) -> tuple[bytes, str] | None:
        """An object's content, and its mark as `states` has it; None where there is none.

        Args:
            size: as it was listed; an object of more than a piece is read in pieces, since one
                request for all of it would take longer than a request may.
        """
        import obstore

        content, mark = bytearray(), None
        while True:
            ranged: GetOptions = {"range": (len(content), len(content) + PIECE)}
            with self._asked(name):
                try:
                    part = obstore.get(self._driver, name, options=ranged if size > PIECE else {})
                    came = bytes(part.bytes())
                except FileNotFoundError:
                    return None
            if mark not in (None, _state(part.meta)) or not came:
                raise StoreError(f"{self.url}/{name}: changed while it was read")
            content += came
            mark = _state(part.meta)
            if size <= PIECE or len(content) >= part.meta["size"]:
                return bytes(content), mark

    def delete(self, names: Iterable[str]) -> None:
        """Take objects away, whether they are there or not."""
        import obstore

        for name in sorted(names):
            with self._asked(name), suppress(FileNotFoundError):  # a bucket does not say so
                obstore.delete(self._driver, name)

    @contextmanager
    def _asked(self, name: str) -> Iterator[None]:
        """Turn what obstore raises into a StoreError, without its lines of inner state."""
        from obstore.exceptions import BaseError, InvalidPathError

        at = f"{self.url}/{name}"
        try:
            yield
        except InvalidPathError as error:
            raise OddNameError(f"{at}: {_first_line(error)}: rename that object") from error
        except (BaseError, OSError) as error:  # a folder cannot be made
            raise StoreError(f"{at}: {_first_line(error)}") from error
        except BaseException as error:  # a panic, which is no Exception and would end a thread
            if type(error).__name__ != "PanicException":
                raise
            raise StoreError(f"{at}: {_first_line(error)}: {NO_ADDRESS}") from error

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


def _mark(state: "PutResult | ObjectMeta") -> Mark:
    """What tells this state of an object from others: an ETag, with Google a number."""
    mark: Mark = {}
    if state["e_tag"] is not None:
        mark["e_tag"] = state["e_tag"]
    if state["version"] is not None:
        mark["version"] = state["version"]
    return mark


def _listed(meta: "ObjectMeta") -> Listed:
    return Listed(meta["size"], _state(meta))


def _state(meta: "ObjectMeta") -> str:
    """What tells this state of an object from others, the same in a list and with the object."""
    mark = (meta["e_tag"] or "").strip('"')  # Azure has quotation marks with the object alone
    return mark or f"{meta['last_modified'].isoformat()} {meta['size']}"


def _first_line(error: BaseException) -> str:
    """What obstore says, without a password that the store's address may have."""
    return re.sub(r"//[^/@\s]+@", "//", str(error).partition("\n")[0])
