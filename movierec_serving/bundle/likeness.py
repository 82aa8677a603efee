"""Lists by the likeness of movies' vectors: similar ones, those unlike what was disliked, and by
taste those that nobody has rated. The vectors are the trained ones, not a publication's blended.
"""

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.bundle import Bundle
from movierec_serving.bundle.publication import PublishedModel
from movierec_serving.bundle.selection import Ranked, Slice, by_score

SIMILAR_PRIOR = 2  # likes at which an item counts half as similar as it looks


def unrated(model: PublishedModel, vector: NDArray[np.float32], part: Slice) -> Ranked:
    """Movies that nobody has rated, by the product of their vectors with a user's (F,)."""
    known, out = model.unrated, part.out_of(model)
    assert known is not None
    ranked = by_score(known.vectors @ vector, None if out is None else out[known.first :], part)
    return [(known.first + row, score) for row, score in ranked]


def similar(model: PublishedModel, movie: int, part: Slice) -> Ranked:
    """Other items by (1 + cosine of the vectors) / 2 x L / (L + 2), L the people who liked one.

    The movie is any of the catalogue: one that nobody has rated is like what its content says.

    A cosine knows no support: an item that one person rated once would stand before all others. An
    item of zeros, or that nobody liked, is similar to none.
    """
    bundle = model.bundle
    scores = (1 + _cosines(bundle, vector_of(model, movie))) / 2 * _support(bundle)
    scores[(scores <= 0) | (bundle.item_lengths == 0)] = -np.inf
    scores[movie : movie + 1] = -np.inf  # itself, if somebody has rated it
    return by_score(scores, part.out_of(model), part)


def away_from(
    model: PublishedModel, rated: NDArray[np.integer], disliked: NDArray[np.integer], part: Slice
) -> Ranked:
    """Popular items that are unlike what somebody disliked, who liked nothing, without what was
    rated.

    The score is the popular one times (1 - the largest cosine with a disliked item, if above 0)^2.
    """
    bundle = model.bundle
    nearest = np.zeros(len(bundle.item_ids), dtype=np.float32)
    for item in disliked.tolist():
        np.maximum(nearest, _cosines(bundle, bundle.family.item_vectors[item]), out=nearest)
    scores = bundle.popular_scores * (1 - np.minimum(nearest, 1.0)) ** 2
    scores[rated] = -np.inf
    return by_score(scores, part.out_of(model), part)


def vector_of(model: PublishedModel, movie: int) -> NDArray[np.float32]:
    """(F,) of a movie of the catalogue; zeros where nothing can be said of it."""
    items = model.bundle.family.item_vectors
    if movie < len(items):
        vector = items[movie]
    elif model.unrated is not None:
        vector = model.unrated.vectors[movie - len(items)]
    else:
        vector = np.zeros_like(items[0])
    return np.asarray(vector)


def _cosines(bundle: Bundle, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """(I,) of each item's vector with a (F,) vector; -1 where one of both is zero."""
    lengths = bundle.item_lengths * np.linalg.norm(vector[None], axis=1)
    cosines = np.full(len(lengths), -1.0, dtype=np.float32)
    products = bundle.family.item_vectors @ vector
    np.divide(products, lengths, out=cosines, where=lengths > 0)
    return cosines


def _support(bundle: Bundle) -> NDArray[np.float32]:
    """(I,) L / (L + 2): how far each item's likes can be trusted, from 0 to 1."""
    likes = bundle.popularity if bundle.likes is None else bundle.likes
    return np.asarray(likes / (likes + SIMILAR_PRIOR), np.float32)
