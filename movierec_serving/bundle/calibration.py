"""A list whose genres are those of its user's taste, in about their proportions.

Steck (2018), "Calibrated Recommendations", RecSys: a list is built place by place; each place goes
to the movie with the largest (1 - w) x score - w x KL(p || q), where p are the genres of what the
user liked and q those of the list with this movie. Who likes horror in 83 % of the cases gets about
as much of it, and not what everybody likes. The score is the mean of the list's, where Steck has
the sum: so w weighs the same at each place, and in lists of any length.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SMOOTHING = 0.01  # of p in q, so that a genre that the list lacks costs much, and not infinitely
TINY = np.float32(1e-12)
AT_ONCE = 256  # users whose lists are built together

Floats = NDArray[np.float64]


def shares(genres: NDArray[np.bool_]) -> Floats:
    """(N, G) the share of each genre in a movie: its own alike, 1 in all; or all zeros."""
    counts = genres.sum(axis=1, keepdims=True)
    return np.asarray(genres / np.maximum(counts, 1), np.float64)


def taste(genres: NDArray[np.bool_], weights: NDArray[Any]) -> Floats:
    """(G,) the genres of what somebody rated, by weight; zeros where nothing is known.

    Args:
        genres: (N, G) of the movies rated.
        weights: (N,); what is not above 0 speaks for no genre.
    """
    mass = np.maximum(weights, 0) @ shares(genres)
    return np.asarray(mass / max(float(mass.sum()), 1e-12))


def calibrated(scores: Floats, genres: Floats, tastes: Floats, weight: float) -> NDArray[np.int64]:
    """(B, M) the places of M candidates in the new order, for B users.

    The first k of the order are the calibrated list of length k: pages go on from each other.

    Args:
        scores: (B, M) descending, NaN behind the end of a list; divided by each user's first one
            here, since families score on different scales.
        genres: (B, M, G) `shares` of the candidates.
        tastes: (B, G); the order stays as it is for a user without one.
        weight: w, from 0 to below 1.
    """
    users, count = scores.shape
    there = np.isfinite(scores)
    first = np.where(there[:, :1], np.abs(scores[:, :1]), 1.0)
    gain = (1 - weight) * np.where(there, scores, 0.0) / np.maximum(first, 1e-12)
    known = tastes.sum(axis=1) > 0
    order = np.empty((users, count), np.int64)
    listed = np.zeros((users, 1, genres.shape[2]), np.float32)
    wanted, genres = tastes[:, None, :].astype(np.float32), genres.astype(np.float32)
    left, everybody = there.copy(), np.arange(users)
    for place in range(count):
        # The divergence but for the sum of p log p, which is the same for all candidates.
        q = listed + genres
        q *= (1 - SMOOTHING) / np.maximum(q.sum(axis=2, keepdims=True), TINY)
        q += SMOOTHING * wanted + TINY
        closeness = (wanted * np.log(q)).sum(axis=2)
        value = gain / (place + 1) + weight * closeness
        value = np.where(known[:, None], value, -np.arange(count))
        value = np.where(left, value, -np.inf)
        best = value.argmax(axis=1)
        order[:, place] = np.where(left.any(axis=1), best, place)
        left[everybody, best] = False
        listed += genres[everybody, best][:, None, :]
    return order
