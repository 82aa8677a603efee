"""The whole platform as people run it: webserver, daemon and endpoint are processes, all is asked
over HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import httpx
import pytest

from demo.dagster_api import DagsterApi
from demo.processes import free_port, running, wait_until
from demo.stream import Stream, served_at
from movierec_assets.cli.processes import commands
from movierec_assets.cli.setup import set_up
from movierec_assets.partitions import RANGE_END, RANGE_START
from movierec_assets.platform import wired
from tests.support.generate import as_csv, catalogue, days_from, ratings_of_day

DAYS = days_from("1998-03-02", 6)
DEADLINE_S = 150.0


@pytest.fixture
def started(home: Path) -> Iterator[tuple[DagsterApi, str]]:
    """Set up as `make setup` does, five days backfilling as asked for before the daemon came up."""
    endpoint = f"http://127.0.0.1:{(port := free_port())}"
    ui = free_port()
    environment = {
        "MOVIEREC_ENDPOINTS": endpoint,
        "MOVIEREC_SERVING_PORT": str(port),
        "PYTHONWARNINGS": "",
    }
    chosen = set_up(home)
    landing = wired().landing_zone
    landing.deliver_movies(catalogue())
    for day in DAYS[:5]:
        landing.deliver(day, as_csv(ratings_of_day(day)))
    calls = commands(ui, port, 0, chosen.tracking_uri)
    with ExitStack() as stack:
        for name in ("endpoint", "webserver", "daemon"):
            if name == "daemon":
                api = DagsterApi(f"http://127.0.0.1:{ui}", user="ann")
                wait_until(api.location, "code location", DEADLINE_S)
                api.launch_job("catalogue", {})
                assets = (
                    "raw_ratings",
                    "validated_ratings",
                    "als_model",
                    "registered_model",
                    "gate_verdict",
                )
                api.launch_backfill("five days", dict.fromkeys(assets, (DAYS[0], DAYS[4])))
            stack.enter_context(
                running(
                    name,
                    calls[name],
                    home / "warehouse" / "logs" / f"{name}.log",
                    environment,
                    home,
                )
            )
        yield api, endpoint


@pytest.mark.timeout(600)
def test_days_become_answers_and_a_new_day_moves_the_endpoint_under_load(
    started: tuple[DagsterApi, str],
) -> None:
    api, endpoint = started
    wait_until(
        lambda: served_at(endpoint) == 5,
        "the endpoint serves the backfill's last version",
        DEADLINE_S,
    )
    answer = httpx.get(f"{endpoint}/recommend/u1", params={"n": 5}).json()
    assert (answer["model_version"], answer["data_until"], answer["source"]) == (5, DAYS[4], "als")
    assert len(answer["items"]) == 5
    assert all("Amélie" in item["title"] for item in answer["items"])
    assert httpx.get(f"{endpoint}/recommend/nobody").json()["source"] == "popular"
    wired().landing_zone.deliver(DAYS[5], as_csv(ratings_of_day(DAYS[5])))
    with Stream(endpoint, ["u1", "u2", "nobody"]) as stream:
        api.launch_job("daily", {RANGE_START: DAYS[5], RANGE_END: DAYS[5]})
        wait_until(
            lambda: served_at(endpoint) == 6,
            "the endpoint serves the new day's version",
            DEADLINE_S,
        )
        stream.run_on(50)
    assert stream.failures == []
    assert stream.versions == {5, 6}
    pin = {"action": "pin", "version": 5, "reason": "complaints"}
    api.launch_job("set_production", {}, config={"ops": {"change_production": {"config": pin}}})
    wait_until(lambda: served_at(endpoint) == 5, "the endpoint serves what was pinned", DEADLINE_S)
    with dg.DagsterInstance.get() as instance:
        moved = instance.get_latest_materialization_event(dg.AssetKey("production_model"))
        assert moved is not None
        assert moved.asset_materialization is not None
        by = str(moved.asset_materialization.metadata["by"].value)
    assert by.startswith("set_production by ann: pin version 5 (complaints), run ")
