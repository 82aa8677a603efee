"""A day unlike those before it is a warning with numbers; too few to tell is said and is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from movierec_assets.defs.monitoring.prequential import so_far
from movierec_assets.defs.shared.accuracy import in_words_of
from movierec_assets.monitoring.drift import Limits, State, drifting, findings, in_words
from movierec_assets.monitoring.prequential import Score
from movierec_assets.monitoring.taste import taste
from movierec_assets.monitoring.two_samples import beyond_days, different
from movierec_assets.monitoring.user_days import Rated, UserDays
from movierec_assets.promotion.interval import Interval
from tests.conftest import Platform
from tests.support.generate import as_csv, catalogue, days_from, ratings_of_day

DAYS = days_from("1998-03-02", 30)
GENRES = ["Action", "Comedy", "Drama"]  # movie m has genre m % 3
MOVIES = 300


def site(days: int = 30, users: int = 25, seed: int = 0) -> pd.DataFrame:
    """Each day's users are drawn anew of 60 and rate what is popular, by about 3.5 stars."""
    random = np.random.default_rng(seed)
    rows = []
    for day in range(days):
        for user in random.choice(60, users, replace=False).tolist():
            size = int(random.lognormal(2.5, 0.8)) + 1
            movies = {int(MOVIES * random.random() ** 2) for _ in range(size)}
            rows += [(day, user, movie, float(random.integers(4, 11)) / 2) for movie in movies]
    return pd.DataFrame(rows, columns=["day", "user", "movie", "stars"])


def rated(frame: pd.DataFrame) -> UserDays:
    def new(column: str) -> np.ndarray:
        return (frame.groupby(column).day.transform("min") == frame.day).to_numpy()

    return UserDays.of(
        Rated(
            days=DAYS[: frame.day.max() + 1],
            day=frame.day.to_numpy(),
            user=frame.user.to_numpy(),
            movie=frame.movie.to_numpy(),
            stars=frame.stars.to_numpy(),
            new_user=new("user"),
            new_movie=new("movie"),
            outside=(frame.movie >= MOVIES).to_numpy(),
            genres=GENRES,
            has_genre=np.arange(2 * MOVIES)[:, None] % 3 == np.arange(3),
        )
    )


def halved(frame: pd.DataFrame, last: pd.Series) -> pd.DataFrame:
    return frame.assign(stars=frame.stars.where(~last, frame.stars / 2))


def with_a_bot(frame: pd.DataFrame, last: pd.Series) -> pd.DataFrame:
    bot = {"day": frame.day.max(), "user": 999, "movie": range(MOVIES), "stars": 5.0}
    return pd.concat([frame, pd.DataFrame(bot)], ignore_index=True)


def without_a_genre(frame: pd.DataFrame, last: pd.Series) -> pd.DataFrame:
    return frame[~((frame.day >= frame.day.max() - 1) & (frame.movie % 3 == 2))]


def of_strangers(frame: pd.DataFrame, last: pd.Series) -> pd.DataFrame:
    return frame.assign(user=frame.user.where(~last, frame.user + 400))


def of_phantoms(frame: pd.DataFrame, last: pd.Series) -> pd.DataFrame:
    return frame.assign(movie=frame.movie.where(~last, frame.movie + MOVIES))


def six_times(frame: pd.DataFrame, last: pd.Series) -> pd.DataFrame:
    copies = [frame[last].assign(user=frame.user[last] + 400 * n) for n in range(1, 6)]
    return pd.concat([frame, *copies], ignore_index=True)


@pytest.mark.parametrize(
    ("change", "measure", "said"),
    [
        (halved, "stars", "1.76 stars, usually 3.49"),
        (with_a_bot, "one user", "one user gave 300 of"),
        (without_a_genre, "genres", "0% of a user's ratings are Drama in two days, usually 3"),
        (of_strangers, "new users", "100% of its users are new, usually"),
        (of_phantoms, "catalogue", "100% of its ratings name movies outside the catalogue"),
        (of_phantoms, "new movies", "100% of its movies are new, usually 0%"),
        (of_phantoms, "popularity", "0% of a user's ratings are of the most rated tenth"),
        (six_times, "users", "150 users, usually 25"),
    ],
)
def test_a_change_at_its_real_size_is_found_and_said(
    change: Callable[[pd.DataFrame, pd.Series], pd.DataFrame], measure: str, said: str
) -> None:
    frame = site()
    found = findings(rated(change(frame, frame.day == frame.day.max())), Limits())
    alarms = {one.measure: one for one in drifting(found)}
    assert measure in alarms
    assert said in alarms[measure].said
    assert alarms[measure].effect >= 1


def test_days_of_one_kind_give_no_alarm() -> None:
    days = rated(site(seed=1))
    for last in range(5, 30):
        assert drifting(findings(days.between(0, last + 1), Limits())) == [], last


def test_three_users_are_too_few_to_tell_and_no_alarm() -> None:
    frame = site()
    few = frame[(frame.day < 29) | frame.user.isin(frame.user[frame.day == 29].unique()[:3])]
    found = findings(rated(halved(few, few.day == 29)), Limits(factor=100.0))
    assert drifting(found) == []
    assert State.TOO_FEW in {one.state for one in found}
    assert in_words({DAYS[29]: found}) == (
        f"{DAYS[29]}: users' ratings: too few to tell (3 users, of 5 that are needed)"
    )


def test_the_first_days_are_too_few_and_only_the_catalogue_counts() -> None:
    first = site(days=1)
    assert "too few to tell (0 days before it" in in_words(
        {DAYS[0]: findings(rated(first), Limits())}
    )
    phantoms = findings(rated(of_phantoms(first, first.day == 0)), Limits())
    assert [one.measure for one in drifting(phantoms)] == ["catalogue"]


def scores(*means: float, users: int = 10) -> list[Score]:
    """A day each, in turn a little above and below its mean."""
    days = days_from("1998-01-01", len(means))
    return [
        Score(day, users, mean * (1.1 if place % 2 else 0.9), 0.1)
        for place, (day, mean) in enumerate(zip(days, means, strict=True))
    ]


def test_a_fall_of_the_next_day_metric_is_drift_and_a_steady_one_is_not() -> None:
    fallen = taste(scores(*[0.2] * 40, *[0.14] * 10))
    assert (fallen.state, fallen.said) == (
        State.DRIFT,
        "NDCG@10 on the next day's ratings was 0.140 in the last 10 days, 0.200 before (-30%)",
    )
    assert taste(scores(*[0.2] * 50)).state is State.USUAL
    assert taste(scores(*[0.14] * 40, *[0.2] * 10)).state is State.USUAL


def test_few_days_or_users_say_nothing_of_taste() -> None:
    assert taste(scores(*[0.2] * 10, *[0.0] * 10)).said == "20 days, of 30 that are needed"
    few = taste(scores(*[0.2] * 40, *[0.01] * 10, users=3))
    assert (few.state, few.said) == (State.TOO_FEW, "30 users in 10 days, of 50")


@pytest.mark.parametrize(("sure", "said"), [(True, False), (False, True)])
def test_a_lead_that_may_be_chance_is_said_to_be_too_few_to_tell(sure: bool, said: bool) -> None:
    month_before = [0.1 if sure or place % 2 else 0.3 for place in range(12)]
    days = [
        replace(score, month_before=value)
        for score, value in zip(scores(*[0.2] * 12), month_before, strict=True)
    ]
    picture = str(so_far(days)["daily retraining"].value)
    assert ("too few to tell (120 users' days)" in picture) is said


@pytest.mark.parametrize(
    ("lower", "upper", "said"),
    [
        (0.1, 0.3, "better than popularity"),
        (-0.1, 0.3, "too few to tell which is better"),
        (-0.3, -0.1, "worse than popularity"),
        (-np.inf, np.inf, "too few to tell which is better"),
    ],
)
def test_the_words_of_accuracy_agree_with_its_badge(lower: float, upper: float, said: str) -> None:
    assert in_words_of(Interval(0.0, lower, upper, 0.0)) == said


def test_samples_that_are_all_alike_do_not_differ() -> None:
    assert different(np.ones(6), np.ones(40)).p == 1.0
    assert beyond_days(1.0, np.ones(10)).p == pytest.approx(1.0)


def test_a_day_of_phantoms_is_a_warning_and_no_failure(platform: Platform) -> None:
    days = DAYS[:7]
    platform.landing_zone.deliver_movies(catalogue())
    for day in days[:6]:
        platform.deliver(day)
    rows = ratings_of_day(days[6])
    platform.landing_zone.deliver(
        days[6], as_csv([[f"{user}x", f"{movie}x", *rest] for user, movie, *rest in rows])
    )
    assert platform.run("-", job="catalogue").success
    result = platform.run(days[0], days[6], "raw_ratings", "validated_ratings")
    assert result.success
    (check,) = [
        one for one in result.get_asset_check_evaluations() if one.check_name == "days_as_usual"
    ]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert str(check.description).startswith(f"{days[6]}: 100% of its ratings name movies outside")
    assert "100% of its users are new" in str(check.description)
    assert check.metadata["day"].value == days[6]
    assert "svg+xml" in str(check.metadata["picture"].value)
    assert not platform.run("1998-03-20", "1998-03-20", "raw_ratings", "validated_ratings").success
    assert (
        not platform.instance.event_log_storage.get_latest_asset_check_execution_by_key(
            [dg.AssetCheckKey(dg.AssetKey("validated_ratings"), "days_as_usual")]
        )
        .popitem()[1]
        .evaluation.passed
    )  # a run without a file says nothing of days
