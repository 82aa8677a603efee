"""The gate: healthy challengers pass, broken ones do not, and what cannot be told is not
decided.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bench.models.chain import Day, with_arrays
from movierec_assets.evaluation.splits import sample
from movierec_assets.promotion.comparison import (
    Comparison,
    compare,
    overlap,
    same_recipe,
    training_pairs,
    usual_overlap,
)
from movierec_assets.promotion.findings import Verdict
from movierec_assets.promotion.gate import judge
from movierec_assets.promotion.interval import interval
from movierec_assets.promotion.policy import references
from movierec_assets.promotion.version import Version
from movierec_assets.ratings.interactions import interactions_of
from movierec_assets.training.als import regularization_for
from movierec_serving.bundle import Model
from tests.support.models import ratings, trained_day
from tests.support.versions import version

METRICS = {"users": 150.0, "ndcg_at_10": 0.3, "popularity_ndcg_at_10": 0.1}


@pytest.fixture(scope="module")
def days() -> tuple[Day, Day]:
    """Production, and the healthy challenger of the day after."""
    frame = ratings(5)
    production = trained_day(interactions_of(frame[frame["day"] < "1998-03-05"]))
    return production, trained_day(interactions_of(frame), production)


def verdict(production: Day, challenger: Day, margin: float = 0.15) -> Verdict:
    found = compare(challenger.served, challenger.twin, {"production": production.twin})
    return judge(
        METRICS, found, overlap(challenger.served, challenger.twin), margin=margin, level=0.95
    )


def with_items(bundle: Model, change: Callable[[np.ndarray], np.ndarray]) -> Model:
    return with_arrays(bundle, item_factors=change(np.array(bundle.item_vectors)))


def scrambled(factors: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).permutation(factors)


def test_a_healthy_challenger_passes(days: tuple[Day, Day]) -> None:
    found = verdict(*days)
    assert found.decision == "passed", found.reason
    assert found.numbers["production_lower"] <= found.numbers["production_difference"]


def test_a_challenger_with_scrambled_movies_is_refused_with_the_figures(
    days: tuple[Day, Day],
) -> None:
    production, challenger = days
    broken = Day(with_items(challenger.served, scrambled), with_items(challenger.twin, scrambled))
    found = verdict(production, broken)
    assert found.decision == "refused"
    assert "production's" in found.reason
    assert "below -15.0%" in found.reason


def test_a_served_bundle_that_is_not_its_twins_model_is_refused(days: tuple[Day, Day]) -> None:
    production, challenger = days
    found = verdict(
        production, replace(challenger, served=with_items(challenger.served, scrambled))
    )
    assert found.decision == "refused"
    assert "evaluated twin" in found.reason


def test_nan_in_the_factors_or_the_metrics_is_refused(days: tuple[Day, Day]) -> None:
    production, challenger = days
    hollow = Day(
        *(with_items(one, lambda f: f * np.nan) for one in (challenger.served, challenger.twin))
    )
    assert verdict(production, hollow).decision == "refused"
    found = judge({**METRICS, "map_at_10": np.nan}, {}, 0.8, margin=0.05, level=0.95)
    assert (found.decision, found.reason) == ("refused", "not finite: map_at_10")
    assert all(np.isfinite(list(found.numbers.values())))


def test_a_first_version_passes_by_the_sanity_checks_alone() -> None:
    assert judge(METRICS, {}, 0.8, margin=0.05, level=0.95).decision == "passed"
    below = judge({**METRICS, "ndcg_at_10": 0.1}, {}, 0.8, margin=0.05, level=0.95)
    assert below.decision == "refused"
    few = judge({**METRICS, "users": 12.0}, {}, 0.8, margin=0.05, level=0.95)
    assert few.decision == "insufficient_data"


def test_a_served_model_further_from_its_twin_than_usual_awaits_approval(
    days: tuple[Day, Day],
) -> None:
    kinds = {"margin": 0.05, "level": 0.95}
    found = judge(METRICS, {}, 0.6, **kinds, usual=0.7)
    assert (found.decision, "of production's 70%" in found.reason) == ("awaiting_approval", True)
    assert judge(METRICS, {}, 0.64, **kinds, usual=0.7).decision == "passed"
    assert (
        judge({**METRICS, "users": 60.0}, {}, 0.6, **kinds, usual=0.7).decision == "passed"
    )  # it varies with few
    production, challenger = days
    usual = usual_overlap(challenger.served, production.served, production.twin)
    assert usual == overlap(production.served, production.twin)
    model = challenger.served
    other = Model.of(model.family.name, model.family.arrays, {"factors": 2})
    assert usual_overlap(other, production.served, production.twin) is None


def test_a_regularization_that_somebody_set_is_another_recipe_and_one_that_grew_is_not(
    days: tuple[Day, Day],
) -> None:
    model = days[0].served

    def with_(regularization: float, ratings: int) -> Model:
        parameters = {**model.parameters, "regularization": regularization}
        seen = {"seen_items": np.zeros(ratings, np.int32)}
        return Model.of(model.family.name, {**model.family.arrays, **seen}, parameters)

    by_size = with_(regularization_for(1000), 1000)
    assert same_recipe(by_size, with_(regularization_for(9000), 9000))
    assert same_recipe(with_(1.0, 1000), with_(1.0, 9000))
    assert not same_recipe(by_size, with_(1.0, 1000))


def test_by_hand_what_would_pass_awaits_approval_and_the_rest_is_refused() -> None:
    kinds = {"margin": 0.05, "level": 0.95, "manual": True}
    assert judge(METRICS, {}, 0.8, **kinds).decision == "awaiting_approval"
    assert judge(METRICS, {}, 0.1, **kinds).decision == "refused"


def comparison(
    users: int, *, loss: float, spread: float = 0.1, known: float = 1.0, shown: float = 0.5
) -> Comparison:
    random = np.random.default_rng(1)
    reference = random.uniform(0.1, 0.5, users)
    challenger = reference * (1 - loss) + spread * random.standard_normal(users)
    return Comparison(challenger, reference, np.arange(users) < known * users, shown, 0.5, 0)


CASES = {
    "equal": (comparison(2000, loss=0.0), "passed"),
    "better": (comparison(200, loss=-0.3), "passed"),
    "a tenth worse": (comparison(2000, loss=0.1), "refused"),
    "too few to tell": (comparison(60, loss=0.0), "insufficient_data"),
    "few, and plainly worse": (comparison(60, loss=0.6), "refused"),
    "fewer than a bootstrap takes": (comparison(8, loss=0.0), "insufficient_data"),
    "shows too few movies": (comparison(2000, loss=0.0, shown=0.2), "refused"),
    "a young production": (comparison(2000, loss=0.0, known=0.01), "passed"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_difference_is_decided_by_its_lower_bound(case: str) -> None:
    given, expected = CASES[case]
    found = judge(METRICS, {"production": given}, 0.8, margin=0.05, level=0.95)
    assert found.decision == expected, found.reason


def test_new_accounts_do_not_outvote_those_that_production_knows() -> None:
    known, new = comparison(1000, loss=0.2), comparison(3000, loss=-1.0)
    both = Comparison(
        np.concatenate([known.challenger, new.challenger]),
        np.concatenate([known.reference, new.reference]),
        np.arange(4000) < 1000,
        0.5,
        0.5,
        0,
    )
    assert judge(METRICS, {"production": both}, 0.8, margin=0.05, level=0.95).decision == "refused"


def test_a_day_unlike_those_before_waits_for_somebody_or_is_refused() -> None:
    """Junk of new accounts is not missed by those whom production knows, and passes the
    comparison.
    """
    found = {
        (share, users): judge(
            {**METRICS, "users": users},
            {"production": comparison(2000, loss=0.0)},
            0.8,
            margin=0.05,
            level=0.95,
            before=METRICS["ndcg_at_10"] / share,
        ).decision
        for share, users in ((0.95, 150.0), (0.85, 150.0), (0.4, 150.0), (0.85, 60.0))
    }
    assert list(found.values()) == ["passed", "awaiting_approval", "refused", "passed"]


def test_the_sample_of_users_stays_while_others_come() -> None:
    ids = np.array([f"u{n:04d}".encode() for n in range(1000)])
    before, after = (
        set(ids[some][sample(ids[some], 100)].tolist()) for some in (slice(900), slice(1000))
    )
    assert len(before) == len(after) == 100
    assert len(before & after) >= 80
    assert sample(ids, 2000).tolist() == list(range(1000))


def test_a_loss_within_the_margin_of_production_is_refused_against_the_anchor() -> None:
    against = {"production": comparison(4000, loss=0.02), "anchor": comparison(4000, loss=0.09)}
    found = judge(METRICS, against, 0.8, margin=0.05, level=0.95)
    assert found.decision == "refused"
    assert "anchor's" in found.reason


def test_a_verdict_can_be_recomputed() -> None:
    given = comparison(300, loss=0.0)
    one, other = (
        interval(given.challenger, given.reference, margin=0.05, level=0.95) for _ in range(2)
    )
    assert one == other
    assert one.lower < one.difference < one.upper


def test_a_reference_without_a_hit_leaves_anything_possible() -> None:
    found = interval(np.ones(50), np.zeros(50), margin=0.05, level=0.95)
    assert (found.lower, found.upper, found.power) == (-np.inf, np.inf, 0.0)


def test_what_a_reference_was_trained_on_counts_for_nobody(days: tuple[Day, Day]) -> None:
    """A late, repaired or second rating moves the holdout into what production has seen."""
    production, challenger = days
    clean = compare(challenger.served, challenger.twin, {"production": production.twin})[
        "production"
    ]
    assert clean.leaked == 0
    cheating = Day(challenger.served, challenger.served)  # has seen all of the holdout
    found = compare(challenger.served, challenger.twin, {"production": cheating.twin})["production"]
    assert len(found.challenger) == 0
    assert found.leaked > 100
    half = replace_seen(production.twin, challenger)
    partly = compare(challenger.served, challenger.twin, {"production": half})["production"]
    assert 0 < len(partly.challenger) < len(clean.challenger)
    assert partly.leaked > 0


def replace_seen(twin: Model, challenger: Day) -> Model:
    """The twin of production, as if it had been trained on every other user's whole history of the
    challenger.
    """
    everything = training_pairs(challenger.served, twin.user_ids, twin.item_ids)
    width = len(twin.item_ids)
    own = training_pairs(twin, twin.user_ids, twin.item_ids).packed
    seen = np.union1d(own, everything.packed[everything.users % 2 == 0])
    indptr = np.searchsorted(seen // width, np.arange(len(twin.user_ids) + 1))
    return with_arrays(twin, seen_indptr=indptr, seen_items=(seen % width).astype(np.int32))


def compared_with(challenger: Version, versions: list[Version]) -> dict[str, int]:
    known = references(challenger.data_until, versions)
    return {role: version.number for role, version in known.items()}


def test_a_challenger_is_compared_with_what_passed_before_its_day() -> None:
    versions = [
        version(1, "1998-03-01", "passed", fit="cold"),
        version(2, "1998-03-02", "passed", fit="warm"),
        version(3, "1998-03-03", "refused", fit="warm"),
        version(4, "1998-03-04", "passed", revoked=True, fit="warm"),
        version(5, "1998-03-05", None, fit="warm"),
        version(6, "1998-03-06", "passed", fit="cold"),
    ]
    assert compared_with(versions[4], versions) == {"production": 2, "anchor": 1}
    assert compared_with(versions[1], versions) == {"production": 1}
    assert compared_with(versions[0], versions) == {}


def test_where_all_models_are_cold_the_anchor_is_the_first_of_the_month() -> None:
    """Else each would only be compared with the day before, and small losses would add up."""
    days = ["1998-02-27", "1998-02-28", "1998-03-01", "1998-03-02", "1998-03-03"]
    versions = [
        version(number, day, "passed", fit="cold") for number, day in enumerate(days, start=1)
    ]
    assert compared_with(versions[4], versions) == {"production": 4, "anchor": 3}
    assert compared_with(versions[3], versions) == {"production": 3}
    assert compared_with(versions[2], versions) == {"production": 2, "anchor": 1}
    warm_ones = [replace(each, tags={**each.tags, "fit": "warm"}) for each in versions[:3]]
    after_warm_ones = warm_ones + versions[3:]
    assert compared_with(versions[4], after_warm_ones) == {"production": 4}
