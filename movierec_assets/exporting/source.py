"""Where metrics come from: read anew when they are old, kept when they cannot be read.

A scrape must end, whatever DuckDB, MLflow or Dagster do meanwhile. So what a source said last is
said again until it can be read, and its age beside it says how old that is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.registry import Collector

from movierec_assets.exporting.gauges import gauge_by

logger = logging.getLogger(__name__)


@dataclass
class Source:
    """One store, asked at most once in `max_age_s`.

    Attributes:
        read: gives the metrics; may raise whatever the store raises.
    """

    name: str
    read: Callable[[], Iterable[Metric]]
    max_age_s: float
    metrics: Sequence[Metric] = ()
    problem: str | None = None
    read_at: float | None = None  # of the monotonic clock; None: never
    tried_at: float | None = None

    def refresh(self, now: float) -> None:
        """Read the store if the last attempt is too old; never raises."""
        if self.tried_at is not None and now - self.tried_at < self.max_age_s:
            return
        self.tried_at = now
        try:
            self.metrics, self.read_at, self.problem = tuple(self.read()), now, None
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            if problem != self.problem:
                logger.exception("%s cannot be read", self.name)
            self.problem = problem


class Sources(Collector):
    """All metrics of all sources, as prometheus-client asks for them at a scrape."""

    def __init__(
        self, sources: Sequence[Source], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sources, self._clock = sources, clock

    def describe(self) -> Iterable[Metric]:
        return ()  # nothing is read to register

    def collect(self) -> Iterable[Metric]:
        ages: dict[str, float] = {}
        for source in self._sources:
            source.refresh(self._clock())
            if source.read_at is not None:
                ages[source.name] = self._clock() - source.read_at
                yield from source.metrics
        yield gauge_by(
            "movierec_source_age_seconds",
            "Age of what is said of a store; it grows while the store cannot be read",
            "source",
            ages,
        )
        yield gauge_by(
            "movierec_source_readable",
            "1 if the store was read at the last attempt, else 0",
            "source",
            {source.name: float(source.problem is None) for source in self._sources},
        )
