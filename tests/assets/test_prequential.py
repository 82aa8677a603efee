"""The test by the next day's ratings: yesterday's models, sessions cut in half, nothing from later
days.
"""

from __future__ import annotations

import pandas as pd
import pytest

from movierec_assets.defs.monitoring.prequential import so_far
from movierec_assets.monitoring.prequential import Score, lead, models_before, next_day
from movierec_assets.ratings.interactions import Interactions, interactions_of
from movierec_serving.bundle import Model
from tests.conftest import Platform
from tests.support.generate import days_from
from tests.support.models import ratings, trained
from tests.support.versions import version

DAYS = days_from("1998-03-30", 5)  # over the end of a month
BIG = {"users": 200, "movies": 120, "ratings": 1500}
TABLE = "SELECT * FROM prequential_evaluation ORDER BY day"


@pytest.fixture(scope="module")
def production() -> Model:
    return trained(interactions_of(ratings(4)))


def today(*rows: tuple[str, int, float]) -> Interactions:
    """(user, movie, stars) in order of time."""
    columns = ["user_id", "movie_id", "rating"]
    frame = pd.DataFrame(
        [(user, f"m{movie}", stars) for user, movie, stars in rows], columns=columns
    )
    return interactions_of(
        frame.assign(rated_at=range(len(rows)), record=range(len(rows)), day="1998-03-05")
    )


def taste(of: int, known: set[int] = frozenset()) -> list[int]:  # type: ignore[assignment]
    """Movies of one of the four tastes, the popular ones first."""
    return [movie for movie in range(of, 120, 4) if movie not in known]


def unseen(model: Model, user: str) -> list[int]:
    """The user's own taste, without what the model has seen of them."""
    seen = {int(model.item_id(row)[1:]) for row in model.seen(model.user_row(user))}
    return taste(int(user[1:]) % 4, seen)


def test_a_newcomer_is_folded_in_from_the_first_half_of_the_session(production: Model) -> None:
    session = [("stranger", movie, 5.0) for movie in taste(2)[:12]]
    found = next_day("1998-03-05", today(*session), production, None)
    assert found.users == 1
    assert found.production > 2 * found.popularity
    assert found.month_before is None


def test_a_newcomer_with_a_single_rating_gets_popular_movies(production: Model) -> None:
    found = next_day("1998-03-05", today(("stranger", taste(2)[0], 5.0)), production, production)
    assert found.production == found.popularity == found.month_before


def test_only_new_likes_of_known_movies_in_the_second_half_count(production: Model) -> None:
    own = unseen(production, "u3")
    seen = int(production.item_id(int(production.seen(production.user_row("u3"))[0]))[1:])
    rated_again, disliked, unheard = ("u3", seen, 5.0), ("u3", own[1], 3.0), ("u3", 999, 5.0)
    first_half = [("u3", own[nth], 5.0) for nth in (2, 3, 4)]
    nothing = next_day(
        "1998-03-05", today(*first_half, rated_again, disliked, unheard), production, None
    )
    assert nothing == Score("1998-03-05")
    liked = next_day(
        "1998-03-05", today(*first_half, disliked, unheard, ("u3", own[0], 4.0)), production, None
    )
    assert liked.users == 1


def test_what_was_in_production_before_the_day_and_a_month_ago() -> None:
    versions = [
        version(1, "1998-02-01", "passed", fit="cold"),
        version(2, "1998-03-01", "passed", fit="cold"),
        version(3, "1998-03-04", "passed", fit="warm"),
        version(4, "1998-03-05", "refused", fit="warm"),
        version(5, "1998-03-06", "passed", fit="warm"),
    ]
    february, march, warm, _, _ = versions
    assert models_before("1998-03-06", versions) == (warm, february)
    assert models_before("1998-03-02", versions) == (march, february)
    assert models_before("1998-02-01", versions) == (None, None)


def test_the_lead_is_of_all_users_of_all_days_with_both_models() -> None:
    days = [Score(day, 10, 0.3, 0.1, 0.2) for day in days_from("1998-03-01", 19)]
    alone = Score("1998-02-28", 1000, 0.9, 0.1, None)
    assert lead([alone, *days[:9]]) is None
    assert lead([alone, *days]) == pytest.approx((0.5, 0.5, 0.5))
    low, middle, high = lead([*days, Score("1998-03-20", 190, 0.2, 0.1, 0.2)])
    assert middle == pytest.approx(0.25)
    assert low < middle < high


def test_the_lead_is_beside_the_picture_of_all_days() -> None:
    scores = [Score(day, 10, 0.3, 0.1, 0.2) for day in days_from("1998-03-01", 12)]
    found = so_far(scores)
    assert {
        name: found[f"lead over month_before, {name}"] for name in ("low", "middle", "high")
    } == {
        "low": 0.5,
        "middle": 0.5,
        "high": 0.5,
    }
    assert set(so_far(scores[:9])) == {"daily retraining"}  # too few days
    assert set(so_far([Score("1998-03-01")])) == {"note"}


def test_later_days_change_nothing_and_a_range_gives_what_daily_runs_give(
    platform: Platform,
) -> None:
    platform.deliver(*DAYS[:4], **BIG)
    assert platform.run(DAYS[0], DAYS[3]).success
    once = platform.query(TABLE)
    users = [row[1] for row in once]
    assert users[0] == 0  # nothing was in production yet
    assert min(users[1:]) > 50
    assert [row[6] is not None for row in once] == [
        False,
        False,
        True,
        True,
    ]  # March's model, in April
    assert once[1][2] > once[1][3]  # better than popularity

    picture = platform.events("prequential_evaluation")
    assert [event.partition for event in picture] == DAYS[:4]
    assert ["daily retraining" in event.metadata for event in picture] == [
        False,
        False,
        False,
        True,
    ]
    assert "data:image/png;base64" in str(picture[-1].metadata["daily retraining"].value)

    platform.deliver(DAYS[4], **BIG)
    assert platform.run(DAYS[4]).success
    assert platform.run(DAYS[0], DAYS[3], "prequential_evaluation").success
    assert platform.query(TABLE)[:4] == once


def test_what_else_is_rated_later_in_the_session_does_not_help_to_rank(production: Model) -> None:
    own = taste(2)
    first = [("stranger", movie, 5.0) for movie in own[:3]]
    scores = []
    for others in ((1, 5), tuple(own[20:22])):
        second = [("stranger", own[4], 5.0), *(("stranger", movie, 1.0) for movie in others)]
        scores.append(next_day("1998-03-05", today(*first, *second), production, None))
    assert scores[0] == scores[1]
