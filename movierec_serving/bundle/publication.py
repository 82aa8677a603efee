"""A published model: a bundle with a version, the catalogue of that moment, and each user's best
items.

The catalogue is here and not in the bundle, since a corrected title must not make another model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt, model_validator

from movierec_serving.bundle import catalogue, files
from movierec_serving.bundle.array_files import FileEntry, open_array
from movierec_serving.bundle.bundle import Bundle
from movierec_serving.bundle.catalogue import Catalogue
from movierec_serving.bundle.documents import Document, Strict
from movierec_serving.bundle.layout import MAX_VALUE
from movierec_serving.bundle.orders import Orders
from movierec_serving.bundle.ranking import Lists, Ranker, Ranking
from movierec_serving.bundle.shard import Shard
from movierec_serving.bundle.unrated import Unrated
from movierec_serving.errors import BundleError

PUBLICATION = "publication.json"
TOP_N = 100  # items kept for each user, and the most that a request can ask for
LISTS = ("top_items", "top_scores")
BLENDED = "blended"  # item vectors; where there are none, the bundle's own score
PLAIN = Ranking()


class Part(Strict):
    """Whose lists a part of a publication has, and the mean of all ratings of the whole."""

    shard: Shard
    mean_stars: float


class Publication(Document):
    """The document beside a published bundle's manifest.

    Format 1, of 0.2.0, knew titles and genres alone, and did nothing to scores. Format 2 scored all
    movies by the vectors that were trained.
    """

    FORMATS: ClassVar = (1, 2, 3)

    version: PositiveInt
    identity: str
    genres: tuple[str, ...]
    columns: tuple[str, ...]
    ranking: Ranking
    part: Part | None = None  # None: of all users
    files: Mapping[str, FileEntry]

    @classmethod
    def upgraded(cls, document: dict[str, Any]) -> dict[str, Any]:
        if document["format_version"] == 1:
            return {**document, "columns": [], "ranking": PLAIN.model_dump()}
        return document

    @property
    def arrays(self) -> tuple[str, ...]:
        """The names of the arrays that a publication of this format has."""
        known = catalogue.FIRST if self.format_version == 1 else catalogue.LAYOUT
        has_blended = self.format_version > 2 and f"{BLENDED}.npy" in self.files
        return (*LISTS, *known, *((BLENDED,) if has_blended else ()))

    @model_validator(mode="after")
    def _has_its_arrays(self) -> Self:
        if set(self.files) != {f"{name}.npy" for name in self.arrays}:
            raise ValueError(f"files must be {', '.join(self.arrays)}")
        return self


@dataclass(frozen=True)
class PublishedModel:
    """A version opened for serving; everything memory-mapped, so processes share its pages.

    `top_items` (U, 100) are item rows, -1 where none is left.
    """

    version: int
    bundle: Bundle
    catalogue: Catalogue
    ranking: Ranking
    top_items: NDArray[np.int32] = field(repr=False)
    top_scores: NDArray[np.float32] = field(repr=False)
    reranked: bool = field(default=False, kw_only=True)
    shard: Shard | None = field(default=None, kw_only=True)  # whose lists it has; None: everybody's

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
            for name in document.arrays
        }
        lists = {name: arrays.pop(name) for name in LISTS}
        bundle = replace(bundle, blended=arrays.pop(BLENDED, None))
        known = Catalogue.of(bundle.item_ids, document.genres, document.columns, arrays)
        shard = None
        if document.part is not None:
            shard, bundle.family.mean_stars = document.part.shard, document.part.mean_stars
        model = cls(version, bundle, known, document.ranking, *lists.values(), shard=shard)
        model._check_shapes(where)
        if verify:
            model._check_values(where)
        return model

    def ranked_by(self, ranking: Ranking) -> "PublishedModel":
        """This model with lists made otherwise, as they are asked for: it has none ready."""
        return self if ranking == self.ranking else replace(self, ranking=ranking, reranked=True)

    def user_row(self, user_id: str) -> int | None:
        """A user's row; None for one whom the model does not know.

        Raises:
            OtherShardError: another part may know them.
        """
        if self.shard is not None:
            self.shard.check(user_id)
        return self.bundle.user_row(user_id)

    def heads(self, rows: Sequence[int]) -> Lists:
        """The first 100 places of users' lists."""
        if self.reranked:
            return self.ranker.of_users(rows, TOP_N)
        if len(rows) == 1:  # a view: to copy one costs more than to read it
            only = slice(rows[0], rows[0] + 1)
            return self.top_items[only], self.top_scores[only]
        return self.top_items[rows], self.top_scores[rows]

    @property
    def data_until(self) -> str:
        return self.bundle.manifest.data_until

    @cached_property
    def ranker(self) -> Ranker:
        """What lists are made with."""
        return self.ranker_of(self.bundle)

    def ranker_of(self, bundle: Bundle) -> Ranker:
        """Make what another opening of the bundle makes lists with, to hold it against this one."""
        known, bundle = self.catalogue, replace(bundle, blended=self.bundle.blended)
        return Ranker(bundle, self.ranking, known.item_genres, known.withdrawn)

    @cached_property
    def orders(self) -> Orders:
        """The lists that are the same for everybody."""
        return Orders(self.bundle, self.catalogue)

    @cached_property
    def unrated(self) -> Unrated | None:
        """Vectors of the movies that nobody has rated; None in a family without factors."""
        if not self.bundle.family.has_factors:
            return None
        return Unrated.prepared(self.bundle.path, self.bundle, self.catalogue)

    def card(self, row: int) -> dict[str, Any]:
        """A movie as answers show it; made once, since answers are mostly of the same few."""
        if (made := self._cards.get(row)) is None:
            known = self.catalogue
            made = {
                "movie_id": known.movie_id(row),
                "title": known.title(row),
                "genres": known.genres(row),
            }
            self._cards[row] = made
        return made

    @cached_property
    def _cards(self) -> dict[int, dict[str, Any]]:
        return {}

    def _check_shapes(self, where: str) -> None:
        shape = (len(self.bundle.user_ids), TOP_N)
        for name, dtype in zip(LISTS, ("<i4", "<f4"), strict=True):
            array: NDArray[Any] = getattr(self, name)
            if (actual := (array.dtype.str, array.shape)) != (dtype, shape):
                text = f"{name} is {actual[0]} {actual[1]}, must be {dtype} {shape}"
                raise BundleError(f"{where}: {text}")
        vectors, trained = self.bundle.item_vectors, self.bundle.family.item_vectors
        if (vectors.dtype, vectors.shape) != (trained.dtype, trained.shape):
            text = f"{BLENDED} is {vectors.dtype.str} {vectors.shape}, must be {trained.shape}"
            raise BundleError(f"{where}: {text}")
        self.catalogue.check_shapes(where)

    def _check_values(self, where: str) -> None:
        items, left = len(self.bundle.item_ids), self.top_items >= 0
        self.catalogue.check_values(where)
        if not (np.abs(self.bundle.item_vectors) <= MAX_VALUE).all():
            raise BundleError(f"{where}: {BLENDED}: not finite, or beyond ±{MAX_VALUE:g}")
        if self.top_items.min() < -1 or self.top_items.max() >= items:
            raise BundleError(f"{where}: top_items: outside -1..{items - 1}")
        if (left[:, 1:] > left[:, :-1]).any():
            raise BundleError(f"{where}: top_items: an item after the end of a list")
        if not np.array_equal(left, np.isfinite(self.top_scores)):
            raise BundleError(f"{where}: top_scores: not finite exactly where there is an item")
