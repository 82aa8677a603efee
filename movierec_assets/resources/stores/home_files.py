"""What else of a home is in the object store: files that nothing else makes again.

The archive of chunks has its own copy: see `shared_chunks`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from movierec_assets.ratings.file_names import MOVIES
from movierec_assets.resources.stores.kept_events import KeptEvents
from movierec_assets.resources.stores.shared_folder import Contents, Files, SharedFolder
from movierec_serving.bundle import BundleError, StoreError
from movierec_serving.bundle.files import read_text, replace_file
from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.bundle.stored import Stored

NONE: Mapping[str, str] = {}


@dataclass(frozen=True)
class HomeFiles:
    """The catalogue, the declarations of sources, the records of versions, delivered events and the
    lists that were shown, of which an object store may have a copy.

    Args:
        object_store: its URL; None where there is none.
    """

    warehouse: Path
    object_store: str | None = None

    def share(self, *, gone_before: Mapping[str, str] = NONE, every: bool = False) -> int:
        """Let the object store have what is new here; how many files.

        Args:
            gone_before: the first day (ISO) of each folder whose earlier files it is to let go of.
            every: no byte is there afterwards but of the files that are here.

        Raises:
            StoreError: it did not do so; the next call goes on.
        """
        return self.shared.send(gone_before, every) if self.shared else 0

    def bring(self) -> int:
        """Have here what only the object store has, or has newer; how many. StoreError as
        `share`.
        """
        return self.shared.bring() if self.shared else 0

    @property
    def events(self) -> KeptEvents:
        """The delivered events, as files."""
        return KeptEvents(self.warehouse)

    @property
    def shared(self) -> SharedFiles | None:
        """The copy in the object store; None where there is none."""
        if not self.object_store:
            return None
        return SharedFiles(ObjectStore(self.object_store), self.warehouse)


class SharedFiles(SharedFolder):
    """The copy of those files of `warehouse`. They change: here, and in the store while this disk
    was lost and restored from a backup.

    So it is kept what this home and the copy last agreed on. Whichever differs from that is newer;
    if both do, what is here is. Lists do not change once their day is over: they are sent then, and
    not looked into again.
    """

    NAME = "home"
    FILE = r"landing/movies\.csv|sources/[a-z0-9][a-z0-9_-]{0,63}(\.types)?\.toml"
    FILE += r"|shown/[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9]+-[0-9a-f]+\.jsonl"
    FILE += r"|versions/[1-9][0-9]*\.json"
    FILE += r"|events/delivered/[0-9]{4}-[0-9]{2}-[0-9]{2}\.csv"
    LOCK = ".shared-home.lock"

    def __init__(self, store: ObjectStore, warehouse: Path) -> None:
        super().__init__(store, warehouse, warehouse / "chunks")
        self._agreed = warehouse / "chunks" / "agreed.json"

    def send(self, gone_before: Mapping[str, str] = NONE, every: bool = False) -> int:
        """Let the copy have what is new or changed here; how many files. As `HomeFiles.share`."""
        new = self._send(lambda path: _day(path) < gone_before.get(_folder(path), ""), every)
        if new:
            self._agree(self.contents())
        return len(new)

    def bring(self) -> int:
        """Have here what only the copy has, or has newer; how many files."""
        with self._bringing() as known:
            due = self._lacking(known, every=True)
            self._get_all(due)
            self._agree(known)
        return len(due)

    def differences(self) -> tuple[list[str], list[str]]:
        """The files that the copy has not as they are here, and those that are not here as the copy
        has them. The day that has just ended may have had no run yet.
        """
        known, yesterday = self.contents(), (datetime.now(UTC) - timedelta(days=1)).date()
        unsent = dict(self._news(self._here(), known, every=False))
        due = (
            path for path in unsent if not (_is_list(path) and _day(path) == yesterday.isoformat())
        )
        return sorted(due), sorted(self._lacking(known, every=False))

    def _news(
        self, here: Mapping[str, Path], known: Contents, every: bool
    ) -> Iterator[tuple[str, Stored]]:
        agreed = self._last()
        for path, file in _stored(here, known, every).items():
            there, changed = known.files.get(path), file != agreed.get(path)
            if there is None or (file != there and (changed or every)):
                yield path, file

    def _lacking(self, known: Contents, every: bool) -> dict[str, Stored]:
        here, agreed = _stored(self._here(), known, every), self._last()
        older = {path for path, file in here.items() if _is_list(path) or file == agreed.get(path)}
        return {
            path: file
            for path, file in known.files.items()
            if path not in here or (path in older and file != here[path])
        }

    def _last(self) -> Files:
        if not self._agreed.exists():
            return {}
        try:
            return Contents.from_json(read_text(self._agreed), str(self._agreed)).files
        except BundleError as error:
            raise StoreError(
                f"{error}; delete that file: what is here is the newer one then"
            ) from error

    def _agree(self, known: Contents) -> None:
        """Keep what is the same here and there; of the rest, what was."""
        here, last = _stored(self._here(), known, every=False), self._last()
        same = {
            path: file
            for path, file in known.files.items()
            if here.get(path) == file and not _is_list(path)
        }
        if (now := {**last, **same}) != last:
            replace_file(self._agreed, known.model_copy(update={"files": now}).to_json().encode())

    def _here(self) -> dict[str, Path]:
        landing, today = self._folder / "landing", datetime.now(UTC).date().isoformat()
        paths = [*(self._folder / "sources").glob("*.toml")]
        paths += self._folder.glob("versions/*.json")
        paths += self._folder.glob("shown/*/*.jsonl")
        paths += self._folder.glob("events/delivered/*.csv")
        if (movies := landing / MOVIES).resolve().is_relative_to(landing.resolve()):
            paths.append(movies)  # a link out is no catalogue: anyone may drop files there
        named = {path.relative_to(self._folder).as_posix(): path for path in paths}
        return {
            name: path
            for name, path in named.items()
            if path.is_file() and re.fullmatch(self.FILE, name) and _day(name) < today
        }


def _stored(here: Mapping[str, Path], known: Contents, every: bool) -> dict[str, Stored]:
    """What the files are.

    Args:
        every: also read lists that the copy has, which are many and do not change.
    """
    return {
        path: known.files[path]
        if path in known.files and _is_list(path) and not every
        else Stored.of(file)
        for path, file in here.items()
    }


def _folder(path: str) -> str:
    return path.partition("/")[0]


def _day(path: str) -> str:
    """The day (ISO) of events or lists; "" of any other file."""
    day = re.search(r"/([0-9-]{10})[/.]", path)
    return day[1] if day and _folder(path) in ("events", "shown") else ""


def _is_list(path: str) -> bool:
    return _folder(path) == "shown"
