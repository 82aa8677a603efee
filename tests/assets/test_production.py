"""Production changed by hand, stale days, and what a person is told; on real runs."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dagster as dg
import pytest
from pydantic import SecretStr

from movierec_assets import platform as wiring
from movierec_assets.definitions import assemble
from movierec_assets.defs.monitoring.stale_days import days_current
from movierec_assets.defs.notices import after_failure, refused_days
from movierec_assets.defs.shared.tags import ATTEMPT
from movierec_assets.resources.notifier import Notifier
from movierec_assets.resources.registry.registry_reader import MODEL_NAME
from movierec_assets.settings import Settings, settings
from tests.conftest import Platform
from tests.support.dagster_inside import what_the_ui_is_given
from tests.support.generate import as_csv, days_from, ratings_of_day
from tests.support.processes import started

DAYS = days_from("1998-03-28", 8)


def change(
    platform: Platform, action: str, version: int, reason: str = "a test"
) -> dg.ExecuteInProcessResult:
    """Launch set_production as the UI does."""
    config = {"action": action, "version": version, "reason": reason}
    return platform.definitions.resolve_job_def("set_production").execute_in_process(
        instance=platform.instance,
        raise_on_error=False,
        run_config={"ops": {"change_production": {"config": config}}},
    )


def production(platform: Platform) -> int:
    return int(platform.model_registry.production().number)


def trained(platform: Platform, *days: str) -> None:
    """Each of these days is delivered and in production, with no verdict but `passed`."""
    platform.deliver(*days)
    assert platform.run(
        days[0], days[-1], "raw_ratings", "validated_ratings", "als_model", "registered_model"
    ).success
    client = platform.model_registry.client()
    for version in platform.model_registry.versions():
        client.set_model_version_tag(MODEL_NAME, str(version.number), "gate", "passed")


def test_a_rollback_by_pin_survives_newer_days_and_ends_with_the_pin(platform: Platform) -> None:
    trained(platform, *DAYS[:3])
    assert change(platform, "pin", 2, "the newest is odd").success
    assert production(platform) == 2
    trained(platform, *DAYS[3:5])
    assert platform.run(DAYS[3], DAYS[4], "gate_verdict").success
    assert production(platform) == 2
    assert change(platform, "unpin", 2, "it was a false alarm").success
    assert production(platform) == 5
    moves = [
        {key: value.value for key, value in one.metadata.items()}
        for one in platform.events("production_model")
    ]
    assert [(one["from"], one["version"]) for one in moves] == [(0, 2), (2, 5)]
    assert moves[0]["why"] == "pinned: the newest is odd"
    assert "unpin version 2 (it was a false alarm), run " in moves[1]["by"]
    run = moves[1]["by"].rpartition(" ")[2]
    assert moves[1]["Dagster run"] == f"http://127.0.0.1:3000/runs/{run}"


def test_pinning_another_version_moves_the_pin(platform: Platform) -> None:
    trained(platform, *DAYS[:3])
    change(platform, "pin", 2)
    assert change(platform, "pin", 1).success
    assert production(platform) == 1
    assert [version.pinned is not None for version in platform.model_registry.versions()] == [
        True,
        False,
        False,
    ]


def test_a_revoked_version_stays_away_until_it_is_unrevoked(platform: Platform) -> None:
    trained(platform, *DAYS[:3])
    assert change(platform, "revoke", 3, "wrong titles").success
    assert production(platform) == 2
    assert (
        "version 3 is revoked: wrong titles"
        in platform.events("production_model")[-1].metadata["why"].value
    )
    assert platform.run(DAYS[0], DAYS[2]).success  # nothing brings it back overnight
    assert production(platform) == 2
    assert not change(platform, "pin", 3).success
    assert change(platform, "unrevoke", 3).success
    assert production(platform) == 3


def test_a_version_that_awaits_approval_is_approved(platform: Platform) -> None:
    trained(platform, *DAYS[:3])
    client = platform.model_registry.client()
    for number in ("1", "3"):
        client.set_model_version_tag(MODEL_NAME, number, "gate", "awaiting_approval")
    assert change(platform, "approve", 3, "seen and good").success
    assert production(platform) == 3
    assert (
        "approved: seen and good" in platform.events("production_model")[-1].metadata["why"].value
    )
    assert change(platform, "approve", 1).success
    assert production(platform) == 3  # of an older day


@pytest.mark.parametrize(
    ("action", "version", "reason", "message"),
    [
        ("pin", 99, "why not", "there is no version 99: there are 1 to 1"),
        ("pin", 1, "  ", "say why, the reason is empty"),
        ("unpin", 1, "oops", "it is not pinned"),
        ("unrevoke", 1, "oops", "it is not revoked"),
        ("approve", 1, "oops", "it does not await approval, its verdict is passed"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(
    platform: Platform, action: str, version: int, reason: str, message: str
) -> None:
    trained(platform, DAYS[0])
    result = change(platform, action, version, reason)
    assert not result.success
    failure = result.failure_data_for_node("change_production").user_failure_data
    assert message in failure.description
    assert platform.events("production_model") == []


# -- stale days ------------------------------------------------------------------------------------


def check(platform: Platform) -> dg.AssetCheckResult:
    result = days_current(warehouse=platform.warehouse, settings=platform.wired.settings)
    assert isinstance(result, dg.AssetCheckResult)
    return result


def test_a_redelivered_day_in_the_middle_is_found_stale_and_mended(platform: Platform) -> None:
    trained(platform, *DAYS)
    change(platform, "revoke", 8, "to have an older one in production")
    assert production(platform) == 7
    platform.landing_zone.deliver(DAYS[5], as_csv(ratings_of_day(DAYS[5], seed=1)))
    assert platform.run(DAYS[5], None, "raw_ratings", "validated_ratings").success
    evaluation = check(platform)
    assert not evaluation.passed
    assert evaluation.metadata["backfill"].value == f"[{DAYS[5]}...{DAYS[7]}]"
    assert platform.run(DAYS[5], DAYS[5]).success
    assert check(platform).metadata["backfill"].value == f"[{DAYS[6]}...{DAYS[7]}]"
    assert production(platform) == 7  # and not the repaired, older day's
    assert platform.run(DAYS[5], DAYS[7]).success
    assert check(platform).passed
    versions = platform.model_registry.versions()
    assert [one.data_until for one in versions[8:]] == DAYS[5:]
    eligible = [one for one in versions if one.gate == "passed" and "revoked" not in one.tags]
    newest = max(eligible, key=lambda one: (one.data_until, one.number))
    assert production(platform) == newest.number


def test_the_check_follows_training_in_the_daily_job(platform: Platform) -> None:
    platform.deliver(*DAYS[:2])
    result = platform.run(DAYS[0], DAYS[1])
    assert result.success
    assert {one.check_name: one.passed for one in result.get_asset_check_evaluations()}[
        "days_current"
    ]


# -- what a person is told -------------------------------------------------------------------------


@contextmanager
def webhook(*statuses: int) -> Iterator[tuple[str, list[str]]]:
    """A server that answers with these statuses in turn, then with 200; its URL and the texts it
    was sent.
    """
    texts: list[str] = []
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            texts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(left.pop(0) if left else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/s3cret-hook", texts
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("statuses", "attempts", "sent"), [((), 1, True), ((500, 503), 3, True), ((404,) * 3, 3, False)]
)
def test_the_webhook_is_tried_three_times_and_its_url_is_not_logged(
    caplog: pytest.LogCaptureFixture, statuses: tuple[int, ...], attempts: int, sent: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    with webhook(*statuses) as (url, texts):
        assert Notifier(SecretStr(url), pause_s=0).send("1998-04-01 is refused") is sent
    assert texts == ["1998-04-01 is refused"] * attempts
    assert "1998-04-01 is refused" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/s3cret", "s3cret", "file:///s3cret", "http://[s3cret"]
)
def test_a_webhook_that_cannot_be_reached_fails_nothing(
    caplog: pytest.LogCaptureFixture, url: str
) -> None:
    caplog.set_level(logging.DEBUG)
    assert not Notifier(SecretStr(url), pause_s=0).send("a text")
    assert "a text" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.filterwarnings("ignore:Property .ScheduleDefinition:DeprecationWarning")
def test_secrets_are_not_in_what_the_ui_is_given(platform: Platform) -> None:
    chosen = Settings(
        reload_token=SecretStr("s3cret-1"), webhook=SecretStr("https://example.org/s3cret-2")
    )
    snapshot = what_the_ui_is_given(assemble(wiring.Platform.of(chosen)))
    assert "model_registry" in snapshot
    assert "s3cret" not in snapshot


def told_after(platform: Platform, job: str, *days: str, **tags: str) -> tuple[str, list[str]]:
    """The id of a run that fails, and what the sensor tells of it."""
    result = platform.run(days[0], days[-1], job=job) if days else platform.run("-", job=job)
    assert not result.success
    platform.instance.add_run_tags(result.run_id, tags)
    run = platform.instance.get_run_by_id(result.run_id)
    assert run is not None
    (event,) = [one for one in result.all_events if one.is_run_failure]
    with webhook() as (url, texts):
        context = dg.build_run_status_sensor_context(
            "after_failure",
            event,
            platform.instance,
            run,
            resources={
                "model_registry": platform.model_registry,
                "notifier": Notifier(SecretStr(url)),
            },
        ).for_run_failure()
        after_failure(context)
    return run.run_id, texts


def test_a_failed_run_says_what_failed_the_day_the_cause_and_the_link(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_WEBSERVER_PORT", "3999")
    settings.cache_clear()
    run, (text,) = told_after(platform, "daily", *DAYS[:2])  # nothing was delivered
    assert text.startswith(
        f"daily of {DAYS[0]} to {DAYS[1]} failed: raw_ratings: 2 of 2 days are not done"
    )
    assert f"{DAYS[0]}.csv" in text
    assert text.endswith(f" http://127.0.0.1:3999/runs/{run}")


def test_a_deployment_that_is_repeated_for_ever_is_told_once_for_each_cause(
    platform: Platform,
) -> None:
    platform.model_registry.initialise()
    _, (text,) = told_after(platform, "deploy", **{ATTEMPT: "1"})
    assert text.startswith("deploy failed: served_model: nothing is in production yet")
    assert told_after(platform, "deploy", **{ATTEMPT: "2"})[1] == []
    trained(platform, DAYS[0])
    _, (text,) = told_after(platform, "deploy", **{ATTEMPT: "3"})
    assert "1 of 1 endpoints did not reload: http://127.0.0.1:1 does not answer" in text
    assert told_after(platform, "deploy", **{ATTEMPT: "4"})[1] == []


def test_a_refused_day_is_told_once(platform: Platform) -> None:
    platform.deliver(DAYS[0])
    platform.landing_zone.deliver(DAYS[1], b"user_id,movie_id\n")
    platform.run(DAYS[0], DAYS[1], "raw_ratings", "validated_ratings")
    cursor = None
    with webhook() as (url, texts):
        for _ in range(2):
            context = dg.build_sensor_context(platform.instance, cursor=cursor)
            result = refused_days(
                context, warehouse=platform.warehouse, notifier=Notifier(SecretStr(url))
            )
            cursor = result.cursor
            platform.run(
                DAYS[0], DAYS[1], "raw_ratings", "validated_ratings"
            )  # the same bytes again
    (text,) = texts
    assert text.startswith(f"{DAYS[1]} is refused and not trained on: ")
    assert "rating" in text


def test_a_tick_does_not_wait_for_a_shell_that_holds_the_warehouse(platform: Platform) -> None:
    with platform.warehouse.connect():
        pass
    code = (
        "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('ready', flush=True); "
        "sys.stdin.read()"
    )
    with started(code, platform.warehouse.path) as shell:
        context = dg.build_sensor_context(platform.instance, cursor='["known"]')
        result = refused_days(context, warehouse=platform.warehouse, notifier=Notifier())
    assert f"PID {shell.pid}" in str(result.skip_reason)
    assert result.cursor is None  # as it was
