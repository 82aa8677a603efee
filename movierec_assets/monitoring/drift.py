"""Whether a day is unlike the days before it: a test and an effect for each measure.

A measure is an alarm only if chance hardly explains it and it is large enough to matter. The tests
are in `two_samples.py`, what a user did on a day in `user_days.py`, the trend of the next-day
metric in `taste.py`. Whether a single row is valid is not asked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from movierec_assets.monitoring.two_samples import Compared, beyond_days, different, farthest_out
from movierec_assets.monitoring.user_days import UserDays

FEWEST_DAYS = 5  # of the reference
FEWEST_USERS = 5  # of a day, to compare them with others'
NEARLY_NONE = 0.1  # share of the usual number
LONG = 30  # ratings of a user's day from which its spread and popularity say something
LEAST_GENRE = 0.02  # share of the ratings below which a genre is too rare to be missed
LOST = 0.6  # share of a genre's usual share that it may lose or gain
MOST_SAID = 3  # days in a sentence


class State(Enum):
    """What can be said of a measure."""

    USUAL = "usual"
    DRIFT = "drift"
    TOO_FEW = "too few to tell"


@dataclass(frozen=True)
class Limits:
    """When a measure is an alarm.

    Attributes:
        days: how many of the newest days before say what is usual.
        level: probability of a result as far out by chance, for one measure of one day.
        stars: how far the mean of the stars may move.
        share: how far a share of users, movies or ratings may move.
        factor: how many times as many, or as few, ratings and users there may be.
    """

    days: int = 28
    level: float = 0.0003
    stars: float = 0.3
    share: float = 0.2
    factor: float = 5.0


@dataclass(frozen=True)
class Finding:
    """What one measure says of a day.

    `effect` is the difference in units of what is allowed: an alarm needs at least 1.
    """

    measure: str
    state: State
    said: str
    effect: float = 0.0
    p: float = 1.0


def findings(days: UserDays, limits: Limits) -> list[Finding]:
    """Compare the last of `days` with those before it, by every measure.

    Where there are too few days or users, a finding says so and is no alarm.
    """
    last = len(days.new_movies) - 1
    today, before = days.between(last, last + 1), days.between(0, last)
    measured = [_catalogue(days.outside, limits)]
    if last < FEWEST_DAYS:
        said = f"{last} days before it, of {FEWEST_DAYS} that are needed"
        return [*measured, Finding("other days", State.TOO_FEW, said)]
    measured += [_number(what, counts, limits) for what, counts in _counts(days).items()]
    measured.append(_new_movies(days.new_movies, today, limits))
    recent, earlier = days.between(last - 1, last + 1), days.between(0, last - 1)
    if len(recent) >= FEWEST_USERS:
        measured.append(_genres(recent, earlier, limits))
    measured += _odd(today, before, limits)
    if len(today) < FEWEST_USERS:
        said = f"{len(today)} users, of {FEWEST_USERS} that are needed"
        return [*measured, Finding("users' ratings", State.TOO_FEW, said)]
    return [
        *measured,
        _new_users(days, today, limits),
        _stars(today, before, limits),
        _popularity(today, before, limits),
    ]


def drifting(findings_of_day: Sequence[Finding]) -> list[Finding]:
    """Take the findings that are alarms."""
    return [finding for finding in findings_of_day if finding.state is State.DRIFT]


def in_words(by_day: Mapping[str, Sequence[Finding]]) -> str:
    """A sentence for the findings of some days: the alarms, or what could not be told."""
    alarms = {day: drifting(findings) for day, findings in by_day.items()}
    said = _sentences(alarms, lambda finding: finding.said)
    if said:
        return said
    few = {
        day: [finding for finding in findings if finding.state is State.TOO_FEW]
        for day, findings in by_day.items()
    }
    unknown = _sentences(
        few, lambda finding: f"{finding.measure}: {finding.state.value} ({finding.said})"
    )
    return unknown or "as the days before"


def _sentences(by_day: Mapping[str, list[Finding]], say: Callable[[Finding], str]) -> str:
    days = [f"{day}: {'; '.join(map(say, told))}" for day, told in by_day.items() if told]
    more = [f"and {len(days) - MOST_SAID} more days"] if len(days) > MOST_SAID else []
    return ". ".join([*days[:MOST_SAID], *more])


def _catalogue(outside: NDArray[np.float64], limits: Limits) -> Finding:
    """Ratings of movies that the catalogue lacks; on a first day none are usual."""
    share, usual = float(outside[-1]), float(np.median(outside[:-1])) if len(outside) > 1 else 0.0
    said = f"{share:.0%} of its ratings name movies outside the catalogue, usually {usual:.0%}"
    effect = max(share - usual, 0.0) / limits.share
    return Finding("catalogue", State.DRIFT if effect > 1 else State.USUAL, said, effect)


def _counts(days: UserDays) -> dict[str, NDArray[np.float64]]:
    """(D,) how many ratings and users each day has."""
    return {"ratings": days.by_day(days.ratings), "users": days.by_day(np.ones(len(days)))}


def _number(what: str, counts: NDArray[np.float64], limits: Limits) -> Finding:
    """How many there are, compared by their logarithms: such numbers vary by a factor.

    A part of the usual number is added first (Tukey's started logarithm). Without it a day with
    none would be infinitely far from every other day.
    """
    usual = float(np.median(counts[:-1]))
    logs = np.log(counts + usual * NEARLY_NONE)
    compared = beyond_days(float(logs[-1]), logs[:-1])
    said = f"{counts[-1]:,.0f} {what}, usually {usual:,.0f}"
    return _judged(what, compared, float(np.log(limits.factor)), limits, said)


def _new_users(days: UserDays, today: UserDays, limits: Limits) -> Finding:
    shares = days.by_day(days.new) / days.by_day(np.ones(len(days)))
    compared = beyond_days(float(shares[-1]), shares[:-1], sample=len(today))
    said = f"{compared.value:.0%} of its users are new, usually {compared.usual:.0%}"
    return _judged("new users", compared, limits.share, limits, said)


def _new_movies(shares: NDArray[np.float64], today: UserDays, limits: Limits) -> Finding:
    compared = beyond_days(float(shares[-1]), shares[:-1], sample=len(today))
    said = f"{compared.value:.0%} of its movies are new, usually {compared.usual:.0%}"
    return _judged("new movies", compared, limits.share, limits, said)


def _stars(today: UserDays, before: UserDays, limits: Limits) -> Finding:
    compared = different(today.stars, before.stars)
    said = f"its users give {compared.value:.2f} stars, usually {compared.usual:.2f}"
    return _judged("stars", compared, limits.stars, limits, said)


def _popularity(today: UserDays, before: UserDays, limits: Limits) -> Finding:
    popular = before.popular()
    compared = different(today.mean_of(popular), before.mean_of(popular))
    said = (
        f"{compared.value:.0%} of a user's ratings are of the most rated tenth of the movies, "
        f"usually {compared.usual:.0%}"
    )
    return _judged("popularity", compared, limits.share, limits, said)


def _genres(recent: UserDays, before: UserDays, limits: Limits) -> Finding:
    """Judge the genre that is farthest out in the last two days.

    One day of a small site has too few people to tell that a genre is missing. Each genre gets its
    part of the level (Bonferroni).
    """
    usual = before.genre_shares.mean(axis=0)
    common = np.flatnonzero(usual >= LEAST_GENRE).tolist()
    shares: list[Finding] = []
    for genre in common:
        compared = different(recent.genre_shares[:, genre], before.genre_shares[:, genre])
        compared = Compared(compared.value, compared.usual, min(compared.p * len(common), 1.0))
        said = (
            f"{compared.value:.0%} of a user's ratings are {before.genres[genre]} in two days, "
            f"usually {compared.usual:.0%}"
        )
        shares.append(
            _judged("genres", compared, min(compared.usual * LOST, limits.share), limits, said)
        )
    if not shares:
        return Finding("genres", State.TOO_FEW, "the catalogue has no genre of what is rated")
    return min(drifting(shares) or shares, key=lambda finding: finding.p)


def _odd(today: UserDays, before: UserDays, limits: Limits) -> Iterator[Finding]:
    """The user whose day is farthest out in size, spread of stars and popularity of the movies."""
    popularity = before.popularity()
    here, usual = _long(today, popularity), _long(before, popularity)
    if not len(here) or len(usual) < LONG:
        return
    place, p = farthest_out(here, usual)
    size = float(today.ratings[today.ratings >= LONG][place])
    effect = size / today.ratings.sum() / (limits.share / 4)
    said = (
        f"one user gave {size:,.0f} of {today.ratings.sum():,} ratings, with a spread of "
        f"{here[place, 1]:.2f} stars, usually {np.median(usual[:, 1]):.2f}"
    )
    drift = p < limits.level / 2 and effect >= 1  # a normal tail is thinner than that of people
    yield Finding("one user", State.DRIFT if drift else State.USUAL, said, float(effect), p)


def _long(days: UserDays, popularity: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K, 3) log of the number, spread and mean popularity of users' days with many ratings."""
    columns = (np.log(days.ratings), days.spread, days.mean_of(popularity))
    return np.column_stack(columns)[days.ratings >= LONG]


def _judged(measure: str, compared: Compared, allowed: float, limits: Limits, said: str) -> Finding:
    effect = compared.effect / allowed
    drift = compared.p < limits.level and effect >= 1
    return Finding(measure, State.DRIFT if drift else State.USUAL, said, effect, compared.p)
