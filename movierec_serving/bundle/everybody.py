"""Everybody's lists, in blocks of users: no more is held than one block, however many there are.

Where the blocks are worked out is a publication's to choose; the bits are the same everywhere.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.array_files import ArrayFile, FileEntry
from movierec_serving.bundle.bundle import Bundle
from movierec_serving.bundle.catalogue import Catalogue
from movierec_serving.bundle.layout import POINTERS, Arrays, of_users
from movierec_serving.bundle.model import Model
from movierec_serving.bundle.publication import LISTS, TOP_N
from movierec_serving.bundle.ranking import Lists, Ranker, Ranking

BLOCK = 4096  # users; whole multiples of what the kernel and calibration take at once


class Listed(NamedTuple):
    """What lists are made of.

    `withdrawn` are the movies that no list has, (C,); None for none.
    """

    bundle: Bundle
    ranking: Ranking
    genres: NDArray[np.bool_]
    withdrawn: NDArray[np.bool_] | None

    @classmethod
    def of(cls, bundle: Bundle, ranking: Ranking, known: Catalogue) -> Self:
        """What a publication with this catalogue lists."""
        return cls(bundle, ranking, known.item_genres, known.withdrawn)

    @property
    def blocks(self) -> list[range]:
        """The rows of each block's users."""
        return blocks_of(len(self.bundle.user_ids))


def blocks_of(users: int) -> list[range]:
    """The rows of each block of so many users."""
    return [range(n, min(n + BLOCK, users)) for n in range(0, users, BLOCK)]


# Works out the lists of all blocks, in their order.
ListsOf = Callable[[Listed], Generator[Lists, None, None]]


def in_this_process(listed: Listed) -> Generator[Lists, None, None]:
    """Each block's lists, one after the other."""
    ranker = Ranker(*listed)
    for rows in listed.blocks:
        yield ranker.of_users(rows, TOP_N)


def written(directory: Path, users: int, blocks: Iterator[Lists]) -> dict[str, FileEntry]:
    """Write everybody's lists as they come, and describe the files."""
    top_items, top_scores = LISTS
    shape = users, TOP_N
    with (
        ArrayFile(directory, f"{top_items}.npy", np.dtype("<i4"), shape) as items_file,
        ArrayFile(directory, f"{top_scores}.npy", np.dtype("<f4"), shape) as scores_file,
    ):
        for items, scores in blocks:
            items_file.add(items)
            scores_file.add(scores)
    return {f"{top_items}.npy": items_file.entry, f"{top_scores}.npy": scores_file.entry}


class Common(NamedTuple):
    """What the lists of every block need: all but the arrays with rows of users."""

    family: str
    parameters: Mapping[str, Any]
    arrays: Arrays
    blended: NDArray[np.float32] | None
    ranking: Ranking
    genres: NDArray[np.bool_]
    withdrawn: NDArray[np.bool_] | None

    @classmethod
    def of(cls, listed: Listed) -> Self:
        """What is to be at hand wherever a block is worked out."""
        bundle, own = listed.bundle, {"users", "interactions", POINTERS}
        layout = bundle.manifest.layout
        names = [name for name, (_, axes) in layout.items() if axes[0] not in own]
        arrays = {name: bundle.family.arrays[name] for name in names}
        family, blended = bundle.family, bundle.blended
        return cls(family.name, dict(family.parameters), arrays, blended, *listed[1:])

    def lists(self, own: Arrays) -> Lists:
        """The lists of a block's users, of `block`'s arrays."""
        arrays = {**self.arrays, **own}
        model = Model.of(self.family, arrays, self.parameters, blended=self.blended)
        ranker = Ranker(model, self.ranking, self.genres, self.withdrawn)
        return ranker.of_users(range(len(model.user_ids)), TOP_N)


def block(bundle: Bundle, rows: range) -> dict[str, NDArray[Any]]:
    """The arrays that the lists of one block need beside the common ones, with its rows alone."""
    pointers = bundle.seen_indptr[rows.start : rows.stop + 1]
    apart = ("seen_indptr", "seen_ratings")  # cut here; not needed
    layout = {name: kind for name, kind in bundle.manifest.layout.items() if name not in apart}
    users, seen = slice(rows.start, rows.stop), slice(int(pointers[0]), int(pointers[-1]))
    own = of_users(bundle.family.arrays, layout, users, seen)
    return {**own, "seen_indptr": pointers - pointers[0]}
