"""A published model: a bundle with a version, the catalogue of that moment, and each user's best
items.

Titles and genres are here and not in the bundle, since a corrected title must not make another
model.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt, model_validator

from movierec_serving.bundle import files
from movierec_serving.bundle.array_files import FileEntry, open_array, write_array
from movierec_serving.bundle.bundle import Bundle
from movierec_serving.bundle.documents import Document
from movierec_serving.bundle.kernel import recommend
from movierec_serving.bundle.manifest import MANIFEST
from movierec_serving.errors import BundleError

PUBLICATION = "publication.json"
TOP_N = 100  # items kept for each user, and the most that a request can ask for
ARRAYS = ("top_items", "top_scores", "titles", "title_offsets", "item_genres")


@dataclass(frozen=True)
class Movie:
    """What the catalogue says about an item."""

    movie_id: str
    title: str | None
    genres: tuple[str, ...]


class Publication(Document):
    """The document beside a published bundle's manifest."""

    FORMATS: ClassVar = (1,)

    version: PositiveInt
    identity: str
    genres: tuple[str, ...]
    files: Mapping[str, FileEntry]

    @model_validator(mode="after")
    def _has_its_arrays(self) -> Self:
        if set(self.files) != {f"{name}.npy" for name in ARRAYS}:
            raise ValueError(f"files must be {', '.join(ARRAYS)}")
        return self


@dataclass(frozen=True)
class PublishedModel:
    """A version opened for serving; everything memory-mapped, so processes share its pages.

    `top_items` (U, 100) are item rows, -1 where none is left; `titles` is the concatenated UTF-8 of
    all titles and `title_offsets` (I + 1,) its cuts; `item_genres` is (I, G) in the order of
    `genre_names`.
    """

    version: int
    bundle: Bundle
    genre_names: tuple[str, ...]
    top_items: NDArray[np.int32] = field(repr=False)
    top_scores: NDArray[np.float32] = field(repr=False)
    titles: NDArray[np.uint8] = field(repr=False)
    title_offsets: NDArray[np.int64] = field(repr=False)
    item_genres: NDArray[np.bool_] = field(repr=False)

    @classmethod
    def open(cls, store: Path | str, version: int, *, verify: bool = False) -> "PublishedModel":
        """Map version `version` of the store; `verify` reads and checks every byte.

        Raises:
            BundleError: which file, and what is wrong with it.
        """
        path = Path(store) / str(version)
        where = str(path / PUBLICATION)
        bundle = Bundle.open(path, verify=verify)
        document = Publication.from_json(files.read_text(path / PUBLICATION), where)
        if document.version != version:
            raise BundleError(f"{where}: is version {document.version}, not {version}")
        if document.identity != bundle.manifest.identity:
            raise BundleError(f"{where}: is of {document.identity!r}, not of the bundle beside it")
        arrays: dict[str, NDArray[Any]] = {
            name: open_array(path, f"{name}.npy", document.files[f"{name}.npy"], verify=verify)
            for name in ARRAYS
        }
        model = cls(version=version, bundle=bundle, genre_names=document.genres, **arrays)
        model._check_shapes(where)
        if verify:
            model._check_values(where)
        return model

    @property
    def data_until(self) -> str:
        return self.bundle.manifest.data_until

    def card(self, row: int) -> dict[str, Any]:
        """An item as answers show it; made once, since answers are mostly of the same few items."""
        if (made := self._cards.get(row)) is None:
            made = {
                "movie_id": self.bundle.item_id(row),
                "title": self.title(row),
                "genres": self.genres(row),
            }
            self._cards[row] = made
        return made

    @cached_property
    def _cards(self) -> dict[int, dict[str, Any]]:
        return {}

    @cached_property
    def searchable(self) -> list[str]:
        """The case-folded title of each item, "" where there is none."""
        return [(self.title(row) or "").casefold() for row in range(len(self.bundle.item_ids))]

    def title(self, row: int) -> str | None:
        start, stop = self.title_offsets[row : row + 2].tolist()
        return self.titles[start:stop].tobytes().decode() or None

    def genres(self, row: int) -> list[str]:
        return [self.genre_names[genre] for genre in np.flatnonzero(self.item_genres[row]).tolist()]

    def _check_shapes(self, where: str) -> None:
        users, items = len(self.bundle.user_ids), len(self.bundle.item_ids)
        expected: dict[str, tuple[str, tuple[int, ...]]] = {
            "top_items": ("<i4", (users, TOP_N)),
            "top_scores": ("<f4", (users, TOP_N)),
            "titles": ("|u1", (len(self.titles),)),
            "title_offsets": ("<i8", (items + 1,)),
            "item_genres": ("|b1", (items, len(self.genre_names))),
        }
        for name, (dtype, shape) in expected.items():
            array = getattr(self, name)
            if (found := (array.dtype.str, array.shape)) != (dtype, shape):
                raise BundleError(
                    f"{where}: {name} is {found[0]} {found[1]}, must be {dtype} {shape}"
                )

    def _check_values(self, where: str) -> None:
        offsets, items, left = self.title_offsets, len(self.bundle.item_ids), self.top_items >= 0
        if offsets[0] != 0 or offsets[-1] != len(self.titles) or (np.diff(offsets) < 0).any():
            raise BundleError(f"{where}: title_offsets: do not rise from 0 to the end of titles")
        try:
            for row in range(items):
                self.title(row)
        except UnicodeDecodeError:
            raise BundleError(
                f"{where}: titles: the title of item row {row} is not UTF-8"
            ) from None
        if self.top_items.min() < -1 or self.top_items.max() >= items:
            raise BundleError(f"{where}: top_items: outside -1..{items - 1}")
        if (left[:, 1:] > left[:, :-1]).any():
            raise BundleError(f"{where}: top_items: an item after the end of a list")
        if not np.array_equal(left, np.isfinite(self.top_scores)):
            raise BundleError(f"{where}: top_scores: not finite exactly where there is an item")


def publish(bundle_path: Path, store: Path, version: int, movies: Mapping[str, Movie]) -> Path:
    """Put the bundle into the store as `version`; a sound publication of it there is left
    untouched.

    Raises:
        BundleError: the bundle is not sound, or the version belongs to another model.
    """
    if version < 1:
        raise ValueError(f"a version is at least 1, not {version}")
    bundle = Bundle.open(bundle_path, verify=True)
    identity = bundle.manifest.identity
    final = Path(store) / str(version)
    if (published := _sound_identity(Path(store), version)) is not None:
        if published != identity:
            raise BundleError(
                f"{final}: version {version} is the model {published}, not {identity}"
            )
        return final
    items, scores = recommend(bundle, np.arange(len(bundle.user_ids)), TOP_N)
    genres, catalogue = _catalogue(
        [movies.get(bundle.item_id(row)) for row in range(len(bundle.item_ids))]
    )
    arrays: dict[str, NDArray[Any]] = {"top_items": items, "top_scores": scores, **catalogue}
    with files.staged_directory(final) as staged:
        for name in (*bundle.manifest.files, MANIFEST):
            _link(Path(bundle_path) / name, staged / name)
        document = Publication(
            format_version=Publication.FORMATS[-1],
            version=version,
            identity=identity,
            genres=tuple(genres),
            files={
                f"{name}.npy": write_array(staged, f"{name}.npy", arrays[name]) for name in ARRAYS
            },
        )
        files.write_file(staged / PUBLICATION, document.to_json().encode())
    return final


def _sound_identity(store: Path, version: int) -> str | None:
    try:
        return PublishedModel.open(store, version, verify=True).bundle.manifest.identity
    except BundleError:
        return None


def _catalogue(movies: list[Movie | None]) -> tuple[list[str], dict[str, NDArray[Any]]]:
    try:
        titles = [(movie.title or "").encode() if movie else b"" for movie in movies]
    except UnicodeEncodeError as error:
        raise BundleError(f"movies: a title is not Unicode text: {error}") from error
    names = sorted({genre for movie in movies if movie for genre in movie.genres})
    column = {name: index for index, name in enumerate(names)}
    genres = np.zeros((len(movies), len(names)), dtype=np.bool_)
    for row, movie in enumerate(movies):
        genres[row, [column[genre] for genre in (movie.genres if movie else ())]] = True
    return names, {
        "titles": np.frombuffer(b"".join(titles), dtype=np.uint8),
        "title_offsets": np.cumsum([0, *map(len, titles)], dtype=np.int64),
        "item_genres": genres,
    }


def _link(source: Path, target: Path) -> None:
    """The same bytes without a second copy, where the file system can."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        with target.open("rb") as file:
            os.fsync(file.fileno())
