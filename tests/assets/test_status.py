"""What `movierec status` says, from facts alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from movierec_assets.monitoring.status import EndpointState, Status
from movierec_assets.promotion.version import Version

DAYS = ["1998-04-01", "1998-04-02", "1998-04-03"]
URL = "http://a:8000"
VERSION = Version(2, "m2", DAYS[-1], "run", {"gate": "passed"})
AGREED = Status(
    landing_zone="landing",
    delivered=DAYS,
    ignored=[],
    ingested=DAYS,
    rows=300,
    accepted=DAYS,
    refused={},
    models={DAYS[1]: "m1", DAYS[2]: "m2"},
    stale=[],
    versions=[Version(1, "m1", DAYS[1], "run", {}), VERSION],
    production=VERSION,
    endpoints=[EndpointState(URL, 2)],
    days_behind=9,
)


def test_where_all_stages_agree_nothing_is_said() -> None:
    assert AGREED.disagreements == []


TICKS = "the ticks of the sensor deploy_production say why; without ticks start the daemon"


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"refused": {DAYS[0]: "half a row"}}, f"{DAYS[0]} is refused: half a row"),
        ({"ignored": ["2 files are odd"]}, "2 files are odd"),
        ({"losses": ["twins/: gone"]}, "twins/: gone"),
        (
            {"endpoints": [EndpointState(URL, 2, "another model")]},
            (
                f"{URL} serves another model as version 2 (another mode) than the registry has "
                "(m2): run `movierec recover --apply`, then start the endpoint again"
            ),
        ),
        (
            {"ingested": DAYS[:2]},
            f"1 delivered day, {DAYS[2]}, is not ingested: materialize it",
        ),
        (
            {"ingested": DAYS[:1]},
            f"2 delivered days, {DAYS[1]} to {DAYS[2]}, are not ingested: materialize them",
        ),
        (
            {"models": {DAYS[1]: "m1"}},
            f"1 validated day, {DAYS[2]}, is without a model: materialize als_model",
        ),
        (
            {"stale": DAYS[1:]},
            f"2 models, {DAYS[1]} to {DAYS[2]}, are stale: the check days_current has the ranges",
        ),
        (
            {"versions": [VERSION]},
            f"1 model, {DAYS[1]}, is not registered: materialize registered_model",
        ),
        (
            {"endpoints": [EndpointState(URL)]},
            f"{URL} serves nothing, production is 2: {TICKS}",
        ),
        ({"endpoints": [EndpointState(URL, problem="a is down")]}, "a is down"),
        (
            {"production": None},
            f"{URL} serves 2, production is none: it serves on until a version is promoted",
        ),
    ],
)
def test_each_disagreement_is_a_sentence(changed: dict[str, object], line: str) -> None:
    assert replace(AGREED, **changed).disagreements == [line]
