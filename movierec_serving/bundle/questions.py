"""Which movies somebody new is asked about first: those whose answers tell most.

What is shown of them, and how many, is the pages'. docs/benchmarks has the measurements.
"""

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.model import Model

CANDIDATES = 1000  # the most popular movies; of others there is hardly ever an answer
SAMPLE = 20_000  # users whose vectors say how users differ
NOISE = 1.0  # variance of an answer, in squared scores; 0.3 to 3 do nearly as well
KNOWN = 2.0  # how much it counts that there will be an answer; 1 asks a fifth more movies
Rows = NDArray[np.integer] | Sequence[int]


class Questions:
    """Greedy active learning on the factors of a model.

    A new user's vector is taken as drawn from those of the known users. An answer about movie i is
    a noisy look at its score, after which the covariance C of the vector is smaller. The next movie
    is the one that takes most from the scores' variance, summed over movies by their popularity
    (A-optimal design): y C S C y / (noise + y C y), S the movies' second moment. That counts as the
    square of the share of users who rated it. Rubens, Kaplan & Sugiyama (2011), "Active Learning in
    Recommender Systems", Recommender Systems Handbook; Anava et al. (2015), "Budget-Constrained
    Item Cold-Start Handling in Collaborative Filtering Recommenders via Optimal Design".
    """

    def __init__(self, model: Model) -> None:
        self._vectors = model.family.item_vectors  # what folds an answer in
        users, popularity = len(model.user_ids), model.popularity.astype(np.float64)
        self.candidates = np.argsort(-popularity, kind="stable")[:CANDIDATES]
        self._known = (popularity[self.candidates] / max(popularity.max(), 1)) ** KNOWN
        rows = np.unique(np.linspace(0, users - 1, min(users, SAMPLE)).astype(np.int64))
        self._prior = np.atleast_2d(np.cov(model.user_vectors(rows).T.astype(np.float64), ddof=0))
        self._scored = self._vectors[self.candidates].astype(np.float64)
        self._moment = (self._scored.T * popularity[self.candidates]) @ self._scored

    def best(self, answered: Rows, left_out: Rows, n: int) -> list[int]:
        """At most `n` item rows, the most telling first, as if each were answered.

        Args:
            answered: item rows that the user rated.
            left_out: item rows not to ask about.
        """
        covariance = self.after(answered)
        asked = np.isin(self.candidates, np.asarray([*answered, *left_out], np.int64))
        movies: list[int] = []
        while len(movies) < n and not asked.all():
            best = int(np.argmax(np.where(asked, -1.0, self.worth(covariance))))
            asked[best] = True
            movies.append(int(self.candidates[best]))
            _look(covariance, self._scored[best])
        return movies

    def after(self, answered: Rows) -> NDArray[np.float64]:
        """(F, F) covariance of the vector of somebody who rated these item rows."""
        covariance = self._prior.copy()
        for row in answered:
            _look(covariance, self._vectors[row].astype(np.float64))
        return covariance

    def worth(self, covariance: NDArray[np.float64]) -> NDArray[np.float64]:
        """What an answer about each of the candidates is worth now."""
        seen = self._scored @ covariance
        gain = ((seen @ self._moment) * seen).sum(1) / (NOISE + (seen * self._scored).sum(1))
        return np.asarray(gain * self._known)


def questions(model: Model, answered: Rows, left_out: Rows, n: int) -> list[int]:
    """Choose at most `n` item rows to ask a newcomer about, the most telling first.

    A family without factors asks about popular items.
    """
    if not model.family.has_factors:
        out = {*map(int, answered), *map(int, left_out)}
        return [row for row in model.popular_items.tolist() if row not in out][:n]
    known = _made.get(model)
    if known is None:
        known = _made[model] = Questions(model)
    return known.best(answered, left_out, n)


_made: WeakKeyDictionary[Model, Questions] = WeakKeyDictionary()


def _look(covariance: NDArray[np.float64], vector: NDArray[np.float64]) -> None:
    """Take from a covariance, in place, what an answer about one movie tells."""
    seen = covariance @ vector
    covariance -= np.outer(seen, seen) / (NOISE + seen @ vector)
