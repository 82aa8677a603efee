"""The landing zone: the folder in which ratings arrive, one file a day."""

import datetime
import os
import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from movierec_assets.errors import ChunkError, MissingChunkError
from movierec_serving.bundle.files import replace_file

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NEARLY = re.compile(  # 2026-1-5.csv, 2026_01_05.csv, 20260105.CSV, 2026-02-30.csv
    r"([0-9]{4})[-_. ]?([0-9]{1,2})[-_. ]?([0-9]{1,2})(\.(?:csv|parquet)(?:\.gz)?)",
    re.IGNORECASE | re.ASCII,
)
_SUFFIXES = (".csv", ".parquet")


class LandingZone(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The one door for data: `ratings/YYYY-MM-DD.csv` or `.parquet`, and `movies.csv`.

    Anyone may drop files here. Names that are no such file are ignored, so a writer can use a
    temporary name and rename. A link that leads out of the folder is refused.
    """

    path: str

    def days(self) -> list[str]:
        """List the days (ISO) for which there is a chunk, ascending; readable or not."""
        return sorted({day for day, _ in self._chunks()})

    def odd_names(self) -> list[str]:
        """Say of each file whose name is nearly a day's what it should be called, if it is one."""
        found = []
        for path in sorted(self._files()):
            near = _NEARLY.fullmatch(path.name)
            if near and not (path.suffix in _SUFFIXES and _is_day(path.stem)):
                year, month, day, suffix = near.groups()
                meant = f"{year}-{month:0>2}-{day:0>2}"
                hint = f"is it {meant}{suffix.lower()}?" if _is_day(meant) else "it is no day"
                found.append(f"{path.name} is not read, {hint} Expected YYYY-MM-DD.csv or .parquet")
        return found

    def readable(self, day: str) -> bool:
        """Whether a day's chunk can be read; one that cannot fails by itself, and nobody waits for
        it.
        """
        try:
            return os.access(self.find(day), os.R_OK)
        except (ChunkError, OSError):
            return False

    def find(self, day: str) -> Path:
        """Give the path of a day's chunk.

        Raises:
            ValueError: `day` is not YYYY-MM-DD.
            MissingChunkError: no file for the day.
            ChunkError: a CSV and a Parquet file for the day, or a link out of the landing zone.
        """
        _check_day(day)
        expected = [self._ratings / f"{day}{suffix}" for suffix in _SUFFIXES]
        found = [path for path in expected if path.is_file()]
        if not found:
            raise MissingChunkError(
                f"no ratings of {day}: expected {expected[0]} or {expected[1].name}"
            )
        if len(found) > 1:
            raise ChunkError(
                found[0].name, f"{found[1].name} is there as well: which of them counts?"
            )
        return self._inside(found[0])

    def read(self, day: str) -> tuple[Path, bytes]:
        """Give the path and content of a day's chunk; raises as `find`, and OSError if
        unreadable.
        """
        path = self.find(day)
        return path, path.read_bytes()

    def movies_path(self) -> Path | None:
        """Give the path of the catalogue of movies, None if there is none; a link out raises
        ChunkError.
        """
        path = Path(self.path) / "movies.csv"
        return self._inside(path) if path.is_file() else None

    def read_movies(self) -> tuple[Path, bytes]:
        """Give the path and content of the catalogue of movies; MissingChunkError where there is
        none.
        """
        path = self.movies_path()
        if path is None:
            raise MissingChunkError(f"no movies: expected {Path(self.path) / 'movies.csv'}")
        return path, path.read_bytes()

    def deliver(self, day: str, content: bytes) -> bool:
        """Put a day's CSV where it belongs, at once or not at all; what is there already stays
        untouched.

        Returns:
            Whether anything was written.

        Raises:
            ValueError: `day` is not YYYY-MM-DD.
            ChunkError: the day has a Parquet file.
        """
        _check_day(day)
        rival = self._ratings / f"{day}.parquet"
        if rival.exists():
            raise ChunkError(
                rival.name, f"is there already: {day}.csv would make two files of one day"
            )
        return _write(self._ratings / f"{day}.csv", content)

    def deliver_movies(self, content: bytes) -> bool:
        """Put the catalogue of movies where it belongs, as `deliver` does a day."""
        return _write(Path(self.path) / "movies.csv", content)

    def fingerprints(self) -> dict[str, str]:
        """Map each day to a text that changes when its file does: time of change (ns) and size."""
        parts: dict[str, list[str]] = {}
        for day, path in sorted(self._chunks()):
            try:
                status = path.stat()
            except FileNotFoundError:  # taken away meanwhile
                continue
            parts.setdefault(day, []).append(f"{status.st_mtime_ns}-{status.st_size}")
        return {day: ",".join(of) for day, of in parts.items()}

    @property
    def _ratings(self) -> Path:
        return Path(self.path) / "ratings"

    def _files(self) -> list[Path]:
        try:
            return [Path(entry.path) for entry in os.scandir(self._ratings)]
        except FileNotFoundError:  # nothing has been delivered yet
            return []

    def _chunks(self) -> Iterator[tuple[str, Path]]:
        for path in self._files():
            if path.suffix in _SUFFIXES and _is_day(path.stem) and os.path.isfile(path):  # noqa: PTH113 - False on any error
                yield path.stem, path

    def _inside(self, path: Path) -> Path:
        if not path.resolve().is_relative_to(Path(self.path).resolve()):
            raise ChunkError(path.name, "a link that leads out of the landing zone")
        return path


def _is_day(text: str) -> bool:
    if not _DAY.fullmatch(text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _check_day(day: str) -> None:
    if not _is_day(day):
        raise ValueError(f"{day!r} is not a day: expected YYYY-MM-DD")


def _write(path: Path, content: bytes) -> bool:
    """Replace a file atomically and durably, unless it has this content; its time of change means
    news.
    """
    if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content)
    return True
