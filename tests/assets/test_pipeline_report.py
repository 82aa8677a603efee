"""What the endpoints are told of the pipeline, and that a sensor tells it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg

from movierec_assets.defs.monitoring.pipeline_report import publish_status, said_of
from movierec_assets.defs.shared.keys import EXPERIMENT_RESULTS
from movierec_assets.monitoring.report import DAYS as SHOWN
from movierec_assets.monitoring.report import report_of
from movierec_assets.promotion.version import Version
from movierec_serving.bundle import read_report
from tests.assets.test_status import AGREED, DAYS
from tests.conftest import Platform
from tests.support.generate import days_from

NOW = datetime(1998, 4, 4, 6, tzinfo=UTC)


def test_a_report_says_at_one_glance_how_it_is() -> None:
    refused = {DAYS[1]: "half a row"}
    status = replace(AGREED, refused=refused, accepted=[DAYS[0], DAYS[2]], rows_of={DAYS[2]: 120})
    report = report_of(status, NOW, 12.5, {"Dagster": "http://127.0.0.1:3000"})
    assert report.at == "1998-04-04T06:00:00+00:00"
    assert report.production is not None
    assert (report.production.version, report.production.days_behind) == (2, 0)
    assert report.look == (f"{DAYS[1]} is refused: half a row",)
    newest, middle, oldest = report.days
    assert (newest.day, newest.rows, newest.version, newest.gate) == (DAYS[2], 120, 2, "passed")
    assert (middle.refused, oldest.version) == ("half a row", None)


def test_of_many_days_and_versions_the_newest_are_shown() -> None:
    days = days_from("1998-01-01", SHOWN + 5)
    versions = [
        Version(number, f"m{number}", days[-1], "run", {"gate": gate})
        for number, gate in ((9, "refused"), (10, "passed"))
    ]
    report = report_of(replace(AGREED, ingested=days, versions=versions), NOW, None, {})
    assert [one.day for one in report.days] == days[::-1][:SHOWN]
    assert (report.days[0].version, report.days[0].gate) == (10, "passed")


def test_before_anything_is_in_production_a_report_says_so() -> None:
    report = report_of(replace(AGREED, production=None, versions=[]), NOW, None, {})
    assert report.production is None


def test_what_is_known_of_an_experiment_is_told(platform: Platform) -> None:
    known = {"experiment": "stars", "what to do": "carry on: nothing is known yet"}
    for day, said in (("1997-09-20", known), ("1997-09-21", {"note": "no experiment"})):
        platform.instance.report_runless_asset_event(
            dg.AssetMaterialization(EXPERIMENT_RESULTS, partition=day, metadata=said)
        )
        told = said_of(platform.instance, "stars")
        assert told == ((f"{day}: {known['what to do']}",) if said is known else ())
    assert said_of(platform.instance, "another") == ()


def test_the_sensor_tells_the_endpoints(platform: Platform) -> None:
    day = "1997-09-20"
    platform.deliver(day, ratings=1500)
    assert platform.run("-", job="catalogue").success
    assert platform.run(day).success
    with dg.build_sensor_context(
        instance=platform.instance, resources={"platform": platform.wired}
    ) as context:
        result = publish_status(context)
    assert isinstance(result, dg.SkipReason)
    told = read_report(platform.root / "models")
    assert told is not None
    assert told.production is not None
    assert told.production.version == 1
    assert [(one.day, one.rows, one.gate) for one in told.days] == [(day, 1500, "passed")]
    assert told.deployed_after is None  # nothing was deployed yet
    assert any("http://127.0.0.1:1" in line for line in told.look)  # the endpoint is down
    assert set(told.links) == {"Dagster", "MLflow"}
