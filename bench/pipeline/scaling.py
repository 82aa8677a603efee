"""What breaks first as users and ratings grow, and what three sizes would cost: `python -m bench
scaling`. Multiplications alone; docs/explanation/scaling.md says what follows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# Unit costs, CPU seconds and bytes, measured by this repository's benches (docs/benchmarks)
FIT = 0.34e-6  # a rating and iteration, 64 factors: `scale`, its two fits
ON_SPARK = 1.45  # times that on a cluster, without its start: `spark`, 25 million ratings
GRAM = 0.06e-6  # a row of the fixed side and block: Y'Y of 64 factors, on one core
DAY_BESIDE = 0.8e-6  # a rating: `scale`, the day without its fits
PROCESS = 97  # bytes of the day's process, a rating: `scale`
LIST = 1.2e-3  # a user's published list of 100 of 59,000 movies: `serving`, its preparation
GET, EVENT = 112e-6, 26e-6  # `events`
EVENTS_A_SECOND = 20_000  # of one store: `events`
FACTORS, LISTED = 64 * 4, 100 * 8  # bytes of a user or movie, and of a list
# Assumptions: machines, prices and people
CORES, MEMORY, DISK = 16, 64e9, 2e12  # of a machine
NIGHT = 4 * 3600 * 0.6  # seconds a day for training and lists, and how much of them is used
CORE_HOUR, GB_MONTH = 0.05, 0.023  # euros: a list price of large clouds, of which there are cheaper
BLOCK = 4e6  # ratings: `training/spark.py`
ACTIVE, ASKED, PEAK = 0.2, 5, 4  # share of users on a day; requests and events of one; peak/mean
VERSIONS = 3  # that are kept
WARM = 2  # iterations; two fits a day


@dataclass(frozen=True)
class Site:
    name: str
    users: float
    ratings: float
    movies: float

    @property
    def fits(self) -> float:
        """CPU seconds of a day's two warm fits on a cluster, the Gram matrices made once."""
        return 2 * WARM * self.ratings * FIT * ON_SPARK

    @property
    def peak(self) -> float:
        """Requests a second, and as many events."""
        return self.users * ACTIVE * ASKED / 86_400 * PEAK


GRID = [
    Site("10 million users", 1e7, 1e9, 1e5),
    Site("100 million", 1e8, 1e10, 3e5),
    Site("1 billion", 1e9, 1e11, 1e6),
]
SITES = [
    Site("a shop", 1e6, 1e8, 5e4),
    Site("a national broadcaster", 3e7, 3e9, 5e4),
    Site("a global service", 1e9, 1e11, 1e6),
]
# How many times what one machine, or the fixed design, can do; above 1 it breaks.
PARTS: dict[str, Callable[[Site], float]] = {
    "ratings in the day's process, memory": lambda s: s.ratings * PROCESS / MEMORY,
    "two fits in one process, time": lambda s: s.fits / ON_SPARK / CORES / NIGHT,
    "both sides' factors in each executor's process": lambda s: (
        CORES * (s.users + s.movies) * FACTORS / MEMORY
    ),
    "Gram matrix in each block, over the fits": lambda s: (
        (s.users + s.movies) * GRAM * s.ratings / BLOCK / (s.ratings * FIT)
    ),
    "lists for all users, time": lambda s: s.users * LIST * s.movies / 59e3 / CORES / NIGHT,
    "lists and model, disk of an endpoint": lambda s: (
        VERSIONS * (s.users * (LISTED + FACTORS) + 8 * s.ratings) / DISK
    ),
    "requests at the peak, one machine": lambda s: s.peak * GET / CORES / 0.6,
    "events at the peak, one store": lambda s: s.peak / EVENTS_A_SECOND,
    "evaluation of 5,000 users, time": lambda s: 5e3 * LIST * s.movies / 59e3 / CORES / NIGHT,
}


def costs(site: Site) -> dict[str, float]:
    """Cores and euros a day, with what docs/explanation/scaling.md puts in place of what breaks:
    lists only for who comes on a day.
    """
    lists = site.users * ACTIVE * LIST * site.movies / 59e3
    night = (site.fits + site.ratings * DAY_BESIDE + lists) / 3600
    bundle = site.users * FACTORS + 8 * site.ratings
    served = bundle + site.users * ACTIVE * LISTED
    # A version has its bundle and its twin beside what is served of it.
    stored = (VERSIONS * (served + 2 * bundle) + 30 * site.ratings) / 1e9
    always = max(4, site.peak * (GET + EVENT) / 0.6, 2 * served / MEMORY * CORES) + 2
    asked = site.users * ACTIVE * ASKED
    return {
        "core-hours a night": night,
        "machines for four hours": max(1, night * 3600 / NIGHT / CORES),
        "cores that are always on": always,
        "GB stored": stored,
        "euros a day": (night + always * 24) * CORE_HOUR + stored * GB_MONTH / 30,
        "requests a day, millions": asked / 1e6,
        "a managed service's requests, dollars a day": _managed(asked * 30) / 30,
    }


def _managed(requests: float) -> float:
    """Dollars a month, by the steps of a price list."""
    steps, price = ((72e6, 0.0556), (648e6, 0.0278), (float("inf"), 0.0139)), 0.0
    for size, of_a_thousand in steps:
        taken = min(requests, size)
        price, requests = price + taken / 1000 * of_a_thousand, requests - taken
    return price


def main() -> bool:
    _table(
        "how many times its limit", GRID, {n: [part(s) for s in GRID] for n, part in PARTS.items()}
    )
    figures = [costs(site) for site in SITES]
    _table(
        "",
        SITES,
        {name: [costs_of_site[name] for costs_of_site in figures] for name in figures[0]},
    )
    return True


def _table(corner: str, sites: list[Site], rows: dict[str, list[float]]) -> None:
    print(f"| {corner} | " + " | ".join(site.name for site in sites) + " |")
    print("|---" * (len(sites) + 1) + "|")
    for name, values in rows.items():
        shown = (f"{value:,.0f}" if value >= 10 else f"{value:.2g}" for value in values)
        print(f"| {name} | " + " | ".join(shown) + " |")
    print()
