"""The orders that are the same for everybody: popular, trending, latest. Each is made once.

A version's movies do not change, so an order is made when somebody asks for it first. None has a
movie that left the catalogue; what else a request leaves out is the request's.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.bundle import Bundle
from movierec_serving.bundle.catalogue import OPEN_END, Catalogue
from movierec_serving.bundle.layout import popularity_order
from movierec_serving.bundle.recency import day_number

Rows = NDArray[np.integer[Any]]


class Orders:
    """The orders of one version's movies, by rows of its catalogue."""

    def __init__(self, bundle: Bundle, catalogue: Catalogue) -> None:
        self._bundle, self._catalogue = bundle, catalogue
        self._made: dict[str, Rows] = {}

    @cached_property
    def popular(self) -> Rows:
        """All rated movies, the most popular first."""
        return self._listed(self._bundle.popular_items)

    @cached_property
    def everything(self) -> Rows:
        """All movies, also the withdrawn: the most popular first, at the end what nobody rated."""
        others = np.arange(len(self._bundle.item_ids), len(self._catalogue))
        return np.concatenate([self._bundle.popular_items, others])

    def trending(self, window: str) -> Rows:
        """The movies that somebody liked within the window."""
        if window not in self._made:
            scores = self._bundle.trending(window)
            assert scores is not None
            self._made[window] = self._listed(popularity_order(scores)[: (scores > 0).sum()])
        return self._made[window]

    def latest(self, by: str) -> tuple[Rows, NDArray[np.integer[Any]]]:
        """Movies with their (C,) year, or days since 1970 less the data's last; the last first."""
        scores, known = self._years if by == "year" else self._arrivals
        if by not in self._made:
            order = self.everything
            order = order[np.argsort(-scores[order], kind="stable")]
            self._made[by] = self._listed(order[known[order]])
        return self._made[by], scores

    @property
    def _years(self) -> tuple[NDArray[np.integer[Any]], NDArray[np.bool_]]:
        years = self._catalogue.years
        return years, years > 0

    @cached_property
    def _arrivals(self) -> tuple[NDArray[np.integer[Any]], NDArray[np.bool_]]:
        """The first day of availability, else the day of the first rating; and where there is
        one.
        """
        first = self._catalogue.available[:, 0].astype(np.int64)
        known = first > -OPEN_END
        if (rated := self._bundle.first_rated) is not None:
            unsaid = np.flatnonzero(~known[: len(rated)])
            first[unsaid], known[unsaid] = rated[unsaid], True
        return first - day_number(self._bundle.manifest.data_until), known

    def _listed(self, rows: Rows) -> Rows:
        withdrawn = self._catalogue.withdrawn
        return rows if withdrawn is None else rows[~withdrawn[rows]]
