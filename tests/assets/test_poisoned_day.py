"""A day of nonsense that is valid row by row: its model is refused, and production stays."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.models.chain import with_arrays
from movierec_assets.defs.shared import challengers as gate
from movierec_assets.settings import settings
from movierec_serving.bundle import Bundle
from tests.conftest import Platform
from tests.support.generate import as_csv, day_start, days_from

DAYS = days_from("1998-03-02", 5)
BIG = {"users": 200, "movies": 120, "ratings": 1500}


def nonsense(day: str) -> bytes:
    """Every user rates 40 movies at random, as a broken join would deliver it."""
    random = np.random.default_rng(0)
    rows = [
        [f"u{user}", f"m{movie}", str(random.integers(1, 6)), str(day_start(day) + nth)]
        for user in range(200)
        for nth, movie in enumerate(random.choice(120, 40, replace=False))
    ]
    return as_csv(rows)


def test_a_poisoned_day_is_refused_with_its_reason_and_production_stays(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_GATE_MARGIN", "0.2")
    settings.cache_clear()
    platform.deliver(*DAYS[:4], **BIG)
    platform.landing_zone.deliver(DAYS[4], nonsense(DAYS[4]))
    assert platform.run(DAYS[0], DAYS[4]).success
    *earlier, poisoned = platform.model_registry.versions()
    assert earlier[-1].gate == "passed"
    assert poisoned.gate == "refused", poisoned.tags["gate_reason"]
    assert "NDCG@10" in poisoned.tags["gate_reason"]
    assert platform.model_registry.production().number == earlier[-1].number
    event = platform.events("gate_verdict")[-1]
    assert event.partition == DAYS[4]
    assert event.metadata["reason"].value == poisoned.tags["gate_reason"]

    metrics = platform.model_registry.client().get_run(earlier[-1].run_id).data.metrics
    assert -0.2 < metrics["gate_production_lower"] <= metrics["gate_production_difference"]
    assert not {f"gate_{name}" for name in metrics} & metrics.keys()  # each figure once
    assert "data:image/svg+xml;base64" in str(
        platform.events("gate_verdict")[-2].metadata["difference"].value
    )

    platform.deliver(DAYS[4], **BIG)  # the source repairs it
    assert platform.run(DAYS[4]).success
    repaired = platform.model_registry.production()
    assert (repaired.data_until, repaired.gate) == (DAYS[4], "passed")
    assert platform.model_registry.get(poisoned.number).gate == "refused"


@pytest.mark.parametrize("lost", [False, True])
def test_a_served_model_that_is_not_its_twins_awaits_approval(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    """Production's served bundle says what is usual; where it is lost, the gate goes on without."""
    monkeypatch.setenv("MOVIEREC_GATE_MARGIN", "0.3")
    settings.cache_clear()
    platform.deliver(*DAYS[:2], **BIG)
    assert platform.run(DAYS[0]).success
    (production,) = platform.model_registry.versions()
    assert platform.run(DAYS[1], None, "raw_ratings", "validated_ratings", "als_model").success
    model = platform.warehouse.models()[DAYS[1]]
    served = Bundle.open(platform.root / "bundles" / str(model.identity))
    items = np.array(served.item_vectors)
    items[::4] = np.roll(items[::4], 1, axis=0)
    monkeypatch.setattr(gate.Bundle, "open", scrambling(gate.Bundle.open, served.path, items))
    if lost:
        shutil.rmtree(platform.root / "bundles" / production.identity)
    assert platform.run(DAYS[1], None, "registered_model", "gate_verdict").success
    verdict = platform.model_registry.versions()[-1]
    assert verdict.gate == ("passed" if lost else "awaiting_approval"), verdict.tags["gate_reason"]
    assert lost or "evaluated twin's, of production's" in verdict.tags["gate_reason"]


def scrambling(
    opened: Callable[..., Bundle], path: Path, items: np.ndarray
) -> Callable[..., Bundle]:
    """Opens one bundle with these items, as if they had been written so."""

    def opening(where: Path, **kinds: bool) -> Bundle:
        bundle = opened(where, **kinds)
        return with_arrays(bundle, item_factors=items) if Path(where) == path else bundle

    return opening


def test_a_manual_gate_registers_and_waits(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_GATE", "manual")
    settings.cache_clear()
    platform.deliver(*DAYS[:1], **BIG)
    assert platform.run(DAYS[0]).success
    (version,) = platform.model_registry.versions()
    assert version.gate == "awaiting_approval"
    assert platform.model_registry.production() is None
