"""The landing zone: the folder in which ratings arrive, one file a day."""

import os
from collections.abc import Iterator
from pathlib import Path

from movierec_assets.errors import ChunkError, MissingChunkError
from movierec_assets.ratings.chunks import SUFFIXES
from movierec_assets.ratings.file_names import MOVIES, check_day, day_of, is_file, nearly
from movierec_assets.ratings.ledger import DEFAULT_SOURCE
from movierec_assets.resources.stores.declared_sources import DeclaredSources
from movierec_serving.bundle.files import replace_file

NO_FILE = "is no file: a folder, a pipe or a link to nothing"


class LandingZone(DeclaredSources):
    """Where data arrive: `<source>/YYYY-MM-DD.csv` (or another of `SUFFIXES`), and `movies.csv`.

    Anyone may drop files here. Names that are no such file are ignored, so a writer can use a
    temporary name and rename. A link that leads out of the folder is refused.
    """

    def days(self, source: str | None = None) -> list[str]:
        """List the days (ISO) for which there is a chunk, ascending; readable or not.

        Args:
            source: of this one alone; else of all.
        """
        names = self.sources() if source is None else [source]
        return sorted({day for name in names for day, _ in self._chunks(name)})

    def sources_of(self, day: str) -> list[str]:
        """List the sources that have delivered a day."""
        return [
            source
            for source in self.sources()
            if any(path.is_file() for path in self._paths(day, source))
        ]

    def odd_names(self) -> list[str]:
        """Say of each file whose name is nearly a day's what it should be called, if it is one; of
        what is named as a day and is no file; and of each folder with days that no source declares.
        """
        odd = []
        for source in self.sources():
            chunks = {path for _, path in self._chunks(source)}
            for path in sorted({*_files(self._folder(source))} - chunks):
                if day_of(path.name):
                    odd.append(f"{path.name} is not read, it {NO_FILE}")
                elif hint := nearly(path.name):
                    odd.append(hint)
        for folder in sorted(_files(Path(self.path))):
            if folder.name not in self.sources() and any(
                day_of(file.name) for file in _files(folder)
            ):
                expected = self.declared_in / f"{folder.name}.toml"
                odd.append(
                    f"{folder.name}/ is not read, no source declares it: expected {expected}"
                )
        return odd

    def readable(self, day: str) -> bool:
        """Whether a day's chunks can be read; one that cannot fails by itself, and nobody waits for
        it.
        """
        try:
            files = [self.find(day, source) for source in self.sources_of(day)]
        except (ChunkError, OSError):
            return False
        return bool(files) and all(os.access(path, os.R_OK) for path in files)

    def find(self, day: str, source: str = DEFAULT_SOURCE) -> Path:
        """Give the path of a day's chunk.

        Raises:
            ValueError: `day` is not YYYY-MM-DD.
            MissingChunkError: no file for the day.
            ChunkError: two files for the day, or a link out of the landing zone.
        """
        check_day(day)
        expected = self._paths(day, source)
        files = [path for path in expected if path.is_file()]
        if not files:
            for path in expected:
                if os.path.lexists(path):
                    raise MissingChunkError(f"no ratings of {day}: {path} {NO_FILE}")
            raise MissingChunkError(
                f"no ratings of {day}: expected {expected[0]} or {day}.parquet "
                f"({', '.join(SUFFIXES)} are read)"
            )
        if len(files) > 1:
            raise ChunkError(
                files[0].name, f"{files[1].name} is there as well: which of them counts?"
            )
        return self._inside(files[0])

    def read(self, day: str, source: str = DEFAULT_SOURCE) -> tuple[Path, bytes]:
        """Give the path and content of a day's chunk; raises as `find`, and OSError if
        unreadable.
        """
        path = self.find(day, source)
        return path, path.read_bytes()

    def movies_path(self) -> Path | None:
        """Give the path of the catalogue of movies, None if there is none; a link out raises
        ChunkError.
        """
        path = Path(self.path) / MOVIES
        return self._inside(path) if path.is_file() else None

    def read_movies(self) -> tuple[Path, bytes]:
        """Give the path and content of the catalogue of movies; MissingChunkError where there is
        none.
        """
        path = self.movies_path()
        if path is None:
            raise MissingChunkError(f"no movies: expected {Path(self.path) / MOVIES}")
        return path, path.read_bytes()

    def deliver(self, day: str, content: bytes, source: str = DEFAULT_SOURCE) -> bool:
        """Put a day's CSV where it belongs, at once or not at all; what is there already stays
        untouched.

        Returns:
            Whether anything was written.

        Raises:
            ValueError: `day` is not YYYY-MM-DD.
            ChunkError: the day has a file of another format, or a link there leads out of the
                landing zone.
        """
        check_day(day)
        own = self._folder(source) / f"{day}.csv"
        for rival in self._paths(day, source):
            if rival != own and rival.exists():
                raise ChunkError(
                    rival.name, f"is there already: {own.name} would make two files of one day"
                )
        return self._put(own, content)

    def receive(self, name: str, content: bytes) -> bool:
        """Put a file that came from elsewhere where its name says, as `deliver` does a day.

        Raises:
            ValueError: it is the name of no chunk and not of the catalogue.
            ChunkError: a link there leads out of the landing zone.
        """
        if not is_file(name):
            raise ValueError(f"{name!r} is no file of the landing zone")
        return self._put(Path(self.path) / name, content)

    def deliver_movies(self, content: bytes) -> bool:
        """Put the catalogue of movies where it belongs, as `deliver` does a day."""
        return self._put(Path(self.path) / MOVIES, content)

    def fingerprints(self) -> dict[str, str]:
        """Map each day to a text that changes when a file of it does, or what its source declares:
        time of change (ns) and size.
        """
        parts: dict[str, list[str]] = {}
        for source in self.sources():
            file = self.declared_in / f"{source}.toml"
            meaning = [f"{file.stat().st_mtime_ns}"] if file.is_file() else []
            for day, path in sorted(self._chunks(source)):
                try:
                    status = path.stat()
                except FileNotFoundError:  # taken away meanwhile
                    continue
                parts.setdefault(day, []).append(
                    "-".join([f"{status.st_mtime_ns}-{status.st_size}", *meaning])
                )
        return {day: ",".join(of) for day, of in parts.items()}

    def _folder(self, source: str) -> Path:
        return Path(self.path) / source

    def _paths(self, day: str, source: str) -> list[Path]:
        """Where a day's chunk may be."""
        return [self._folder(source) / f"{day}{suffix}" for suffix in SUFFIXES]

    def _chunks(self, source: str) -> Iterator[tuple[str, Path]]:
        for path in _files(self._folder(source)):
            day = day_of(path.name)
            if day is not None and os.path.isfile(path):  # noqa: PTH113 - False on any error
                yield day, path

    def _put(self, path: Path, content: bytes) -> bool:
        """Replace a file atomically and durably, unless it has this content; its time of change
        means news.
        """
        self._inside(path)
        if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
        return True

    def _inside(self, path: Path) -> Path:
        if not path.resolve().is_relative_to(Path(self.path).resolve()):
            raise ChunkError(path.name, "a link that leads out of the landing zone")
        return path


def _files(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder)]
    except (FileNotFoundError, NotADirectoryError):  # nothing has been delivered yet
        return []
