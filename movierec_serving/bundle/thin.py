"""Movies of few ratings: their vectors, blended with what the catalogue says of them.

A vector that one or two ratings made is short and points where those users' do, so hardly anybody
else is shown the movie. Blending belongs to a publication, as its lists do: the trained model stays
what it is. docs/benchmarks has what it is worth.
"""

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.catalogue import Catalogue
from movierec_serving.bundle.evidence import Evidence
from movierec_serving.bundle.model import Model
from movierec_serving.bundle.unrated import Unrated, effects_on, said_of

HALF = 10.0  # ratings of a movie at which half as much of its content vector is added
TRUSTED = 20.0  # ratings of the mean movie at which the content vectors are trusted by half


def blended(model: Model, catalogue: Catalogue) -> NDArray[np.float32] | None:
    """(I, F) the items' vectors, each with 10 / (n + 10) x m / (m + 20) of its content vector.

    A movie has n ratings, and the mean movie m. On a small site nearly all movies have few ratings,
    and content is learnt from few: without the second factor lists there were 8 % worse.

    None where the family has no factors, or the catalogue says nothing that tells movies apart.
    """
    said = said_of(catalogue)[: len(model.item_ids)]
    if not model.family.has_factors or not said[:, :-1].any():
        return None
    content = said @ effects_on(model, said)
    mean = float(model.popularity.mean())
    share = HALF / (model.popularity + HALF) * mean / (mean + TRUSTED)
    return np.asarray(model.family.item_vectors + share[:, None] * content, np.float32)


def genres_behind(
    unrated: Unrated | None, evidence: Evidence, items: NDArray[np.integer]
) -> list[list[str] | None]:
    """For each item that a list has by its content the genres, the most telling first; None where
    ratings speak for it as much.

    Args:
        unrated: what knows the genres of the published version whose bundle the evidence is of.
    """
    model = evidence.model
    if model.blended is None or unrated is None:
        return [None] * len(items)
    vector = evidence.vector()
    trained = model.family.item_vectors[items] @ vector
    added = model.blended[items] @ vector - trained
    return [
        unrated.genres_for(int(item), vector) if more else None
        for item, more in zip(items, added > np.maximum(trained, 0), strict=True)
    ]
