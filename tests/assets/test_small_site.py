"""A site of sixty users: a whole model is promoted day by day, and none that is broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from bench.models.chain import Day, with_arrays
from movierec_assets.defs.shared.pictures import Bounds
from movierec_assets.promotion.comparison import Comparison, against_popularity, kept_share
from movierec_assets.promotion.findings import Verdict
from movierec_assets.promotion.gate import judge
from movierec_assets.promotion.interval import Interval
from movierec_assets.promotion.small_site import Limits, SmallSite
from movierec_assets.ratings.interactions import interactions_of
from movierec_assets.settings import Settings, settings
from movierec_assets.training.als import residuals
from movierec_assets.training.trainer import Residuals
from tests.conftest import Platform
from tests.support.generate import days_from
from tests.support.models import ratings, trained_day

FIELDS = Settings.model_fields
LIMITS = Limits(
    users=FIELDS["gate_small_users"].default,
    overlap=FIELDS["gate_small_overlap"].default,
    kept=FIELDS["gate_kept_ratings"].default,
    residual=FIELDS["gate_residual"].default,
)
OPEN = Interval(0.0, -1.0, 1.0, 0.1)
WHOLE = SmallSite(
    limits=LIMITS,
    accepted=100,
    held=100,
    kept=1.0,
    residuals=Residuals(0.01, 0.0001),
    popularity=OPEN,
    new_settings=False,
)
METRICS = {"users": 60.0, "ndcg_at_10": 0.3, "popularity_ndcg_at_10": 0.28}


def comparison(challenger: float, production: float, users: int = 60) -> Comparison:
    """Two models whose NDCG@10 differ by so much at the mean, and at random by user."""
    noise = np.random.default_rng(0).normal(0, 0.2, (2, users))
    own, other = np.clip(challenger + noise[0], 0, 1), np.clip(production + noise[1], 0, 1)
    return Comparison(own, other, np.ones(users, np.bool_), 1.0, 1.0, 0)


def verdict(
    site: SmallSite = WHOLE,
    production: Comparison | None = None,
    metrics: Mapping[str, float] = METRICS,
    overlap: float = 0.5,
) -> Verdict:
    against = {"production": production} if production is not None else {}
    return judge(metrics, against, overlap, margin=0.05, level=0.95, site=site)


def test_a_whole_model_that_is_not_shown_to_be_worse_is_promoted() -> None:
    found = verdict(production=comparison(0.30, 0.30))
    assert found.decision == "passed", found.reason
    assert "fresher, and not shown to be worse than production" in found.reason


def test_a_reference_with_two_hits_has_no_bound_and_the_verdict_is_shown_all_the_same() -> None:
    hits = np.zeros(60)
    hits[:2] = 1.0  # one resample in eight has none of them
    few = Comparison(np.full(60, 0.03), hits, np.ones(60, np.bool_), 1.0, 1.0, 0)
    found = verdict(production=few)
    assert found.decision == "passed"
    assert found.reason.endswith("not shown to be worse than production, of 60 users")
    figures = {name.removeprefix("production_"): of for name, of in found.numbers.items()}
    assert "lower" in figures
    assert Bounds.of(figures) is None
    assert Bounds.of({**figures, "upper": 0.5}) is not None


def test_a_model_that_is_shown_to_be_worse_is_refused() -> None:
    found = verdict(production=comparison(0.20, 0.40))
    assert found.decision == "refused"
    assert found.reason.startswith("worse than production: NDCG@10 0.2")


@pytest.mark.parametrize(
    ("change", "decision", "reason"),
    [
        ({"residuals": Residuals(0.01, 0.02)}, "refused", "do not fit its own ratings"),
        ({"residuals": Residuals(0.5, 0.0)}, "refused", "the fit has not converged"),
        ({"held": 50}, "refused", "holds 50 of 100 accepted ratings"),
        ({"kept": 0.5}, "awaiting_approval", "50% of the ratings that production was trained on"),
        ({"new_settings": True}, "awaiting_approval", "too few to prove other parameters"),
    ],
)
def test_a_model_that_is_not_whole_is_not_promoted(
    change: dict[str, object], decision: str, reason: str
) -> None:
    found = verdict(replace(WHOLE, **change), comparison(0.3, 0.3))  # type: ignore[arg-type]
    assert found.decision == decision
    assert reason in found.reason


@pytest.mark.parametrize("overlap", [0.1, float("nan")])
def test_served_lists_that_are_not_the_twins_are_refused(overlap: float) -> None:
    found = verdict(production=comparison(0.3, 0.3), overlap=overlap)
    assert found.decision == "refused"
    assert "of the served top 10" in found.reason


def test_the_first_model_replaces_popular_movies_unless_it_is_shown_to_be_worse() -> None:
    assert verdict().decision == "passed"
    worse = replace(WHOLE, popularity=Interval(-0.4, -0.6, -0.2, 0.5))
    found = verdict(worse)
    assert found.decision == "insufficient_data"
    assert "worse than they are" in found.reason


def test_five_users_are_too_few_to_compare_and_enough_to_begin() -> None:
    few = {**METRICS, "users": 5.0}
    assert verdict(metrics=few).decision == "passed"
    found = verdict(production=comparison(0.1, 0.5, users=5), metrics=few)
    assert found.decision == "passed"
    assert "5 users are too few to compare it" in found.reason


def test_a_large_site_must_prove_that_nothing_is_lost() -> None:
    many = {**METRICS, "users": 400.0}
    assert verdict(production=comparison(0.30, 0.30), metrics=many).decision != "passed"


@pytest.fixture(scope="module")
def day() -> Day:
    return trained_day(interactions_of(ratings(4)))


def test_residuals_are_small_of_a_fit_and_large_of_one_that_lost_or_mixed_up_ratings(
    day: Day,
) -> None:
    assert residuals(day.served).movies < LIMITS.residual
    users = np.array(day.served.family.arrays["user_factors"])
    users[::3] = users[::3][::-1]
    shuffled = with_arrays(day.served, user_factors=users)
    assert residuals(shuffled).movies > 2 * LIMITS.residual
    movies = np.random.default_rng(0).permutation(day.served.item_vectors)
    assert residuals(with_arrays(day.served, item_factors=movies)).movies > 2 * LIMITS.residual


def test_kept_ratings_are_counted_by_pair(day: Day) -> None:
    half = trained_day(interactions_of(ratings(4).iloc[::2]))
    assert kept_share(day.served, day.served) == 1.0
    assert 0.4 < kept_share(half.served, day.served) < 0.6


def test_popular_movies_are_judged_on_the_same_users(day: Day) -> None:
    own, popular = against_popularity(day.served, day.twin)
    assert len(own) == len(popular) > 20
    assert own.mean() > popular.mean()


def test_a_small_site_has_a_fresh_production_every_day(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_GATE_SMALL_USERS", "400")
    monkeypatch.setenv("MOVIEREC_GATE_MARGIN", "0.05")
    monkeypatch.setenv("MOVIEREC_REGULARIZATION", "3.5")
    settings.cache_clear()
    days = days_from("1998-03-01", 6)
    platform.deliver(*days, users=60, movies=60, ratings=150)
    assert platform.run(days[0], days[-1]).success
    versions = platform.model_registry.versions()
    verdicts = {version.data_until: (version.gate, version.gate_reason) for version in versions}
    assert {gate for gate, _ in verdicts.values()} == {"passed"}, verdicts
    production = platform.model_registry.production()
    assert production is not None
    assert production.data_until == days[-1]
