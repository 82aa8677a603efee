"""Files that arrive in an object store, brought into the landing zone, where all else looks.

A bucket is less than a folder: its list may be an old one, a request may fail or hang. So a file is
in the landing zone as a whole or not at all, what could not be brought is tried again the next
time, and what a list lacks is taken away from nobody.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from movierec_assets.errors import ChunkError, LandingBucketError
from movierec_assets.ratings.file_names import is_file, is_source, nearly
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_serving.bundle import OddNameError, StoreError
from movierec_serving.bundle.files import replace_file
from movierec_serving.bundle.objects import Listed, Objects

FAILURES = 3  # objects that fail before the others are not tried: the store is away
FAILED = ""  # in place of the mark of a state that could not be brought
MOST = 500  # files that one look brings; the next one goes on
LONGEST_S = 40.0  # after which a look begins no other file: Dagster gives a sensor 60
WAIT_S = 5.0  # for another look that is under way


@dataclass(frozen=True)
class Brought:
    """What one look at the bucket did.

    Attributes:
        files: that are in the landing zone now, and were not, or were otherwise.
        odd: sentences about objects that are not brought.
    """

    files: tuple[str, ...]
    odd: tuple[str, ...]


class LandingBucket:
    """Part of a bucket that is laid out as the landing zone: `<source>/YYYY-MM-DD.csv`, and
    `movies.csv`.

    Args:
        record: the file that says which state of each object was brought. Without it all are
            brought again, which changes no file that has the same bytes.
        max_bytes: of one object.
        clock: seconds.
    """

    def __init__(
        self,
        store: Objects,
        zone: LandingZone,
        record: Path,
        max_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._zone, self._record = store, zone, record
        self._max_bytes, self._clock = max_bytes, clock

    def bring(self) -> Brought:
        """Bring what is new or changed, and what the landing zone no longer has.

        Raises:
            LandingBucketError: the bucket cannot be listed, or some objects could not be brought;
                the others were.
        """
        try:
            listed, failed = self._look()
        except StoreError as error:
            raise LandingBucketError(str(error)) from error
        odd = [self._not_brought(name, state) for name, state in listed.items()]
        with self._alone():
            known = self._known()
            news = {name: listed[name] for name in self._news(listed, known)[:MOST]}
            files, problems = self._receive(news, known)
            replace_file(self._record, json.dumps(known).encode())
        if failed or problems:
            raise LandingBucketError("; ".join([*failed, *problems]))
        return Brought(tuple(files), tuple(sorted(filter(None, odd))))

    def _receive(
        self, news: Mapping[str, Listed], known: dict[str, str]
    ) -> tuple[list[str], list[str]]:
        """The files that are in the landing zone now, and what went wrong with others; `known` has
        the state of each that came.
        """
        files, problems, begun = list[str](), list[str](), self._clock()
        for name, state in news.items():
            try:
                files += [name] if self._fetch(name, state) else []
                # As it was listed: if another state came, the next list says so.
                known[name] = state.mark
            except (StoreError, ChunkError, OSError) as error:
                problems.append(str(error))
                known[name] = FAILED
            if len(problems) == FAILURES or self._clock() - begun > LONGEST_S:
                break
        return files, problems

    def _look(self) -> tuple[dict[str, Listed], list[str]]:
        """What the bucket's top and the sources' folders have, and which of these cannot be read.

        Each is listed by itself: a name that cannot be read spoils the list that has it, and what
        else is in the bucket is nobody's business here.
        """
        declared, failed = set(self._zone.sources()), list[str]()
        listed: dict[str, Listed] = {}
        folders: set[str] = set()
        try:
            listed, folders = self._store.top()
        except OddNameError as error:
            failed.append(str(error))
        for folder in sorted(declared | set(filter(is_source, folders))):
            try:
                listed |= self._store.states(folder)
            except OddNameError as error:
                failed += [str(error)] if folder in declared else []
        return listed, failed

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._record.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(f"{self._record}.lock", timeout=WAIT_S):
                yield
        except Timeout as error:
            raise LandingBucketError("another look at the bucket is under way") from error

    def _news(self, listed: Mapping[str, Listed], known: Mapping[str, str]) -> list[str]:
        """What is in another state than was brought, and what the landing zone no longer has; what
        failed the last time comes last, so that objects which nobody may read keep back no others.
        """
        zone = Path(self._zone.path)
        news = (
            name
            for name, state in listed.items()
            if self._not_brought(name, state) is None
            and not (known.get(name) == state.mark and (zone / name).is_file())
        )
        return sorted(news, key=lambda name: (known.get(name) == FAILED, name))

    def _not_brought(self, name: str, state: Listed) -> str | None:
        """Why an object is left where it is; None if it is brought, "" if that is nobody's news."""
        if not is_file(name):
            folder, _, file = name.rpartition("/")
            return (nearly(file) or "") if is_source(folder) else ""
        if state.size > self._max_bytes:
            return (
                f"{name} is not brought: it has {state.size:,} bytes, and MOVIEREC_MAX_CHUNK_MB "
                f"allows {self._max_bytes:,}"
            )
        return None

    def _fetch(self, name: str, state: Listed) -> bool:
        """Bring an object; whether it was news."""
        there = self._store.whole(name, state.size)
        if there is None:
            raise StoreError(f"{self._store.url}/{name}: listed, and not there")
        content, mark = there
        if mark == state.mark and len(content) != state.size:
            raise StoreError(f"{self._store.url}/{name}: {len(content)} of {state.size} bytes came")
        return self._zone.receive(name, content)

    def _known(self) -> dict[str, str]:
        try:
            known = json.loads(self._record.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}
