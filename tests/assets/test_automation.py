"""The schedule and the sensors, on a real instance, folder and HTTP server."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dagster as dg
import pytest

from movierec_assets.defs.automation import contiguous, every_day, landing_zone_watch
from movierec_assets.defs.deployment import deploy_job, deploy_production
from movierec_assets.defs.shared.keys import PRODUCTION_MODEL
from movierec_assets.errors import EndpointError
from movierec_assets.promotion.rollout import LONGEST_PAUSE_S, Attempts
from movierec_assets.resources.notifier import Notifier
from movierec_assets.resources.serving_client import ServingClient
from movierec_assets.settings import settings
from movierec_serving.bundle import named_production
from tests.conftest import RANGE_END, RANGE_START, Platform
from tests.support.generate import as_csv, catalogue, days_from, ratings_of_day

DAYS = days_from("1998-03-28", 8)


# -- the schedule ----------------------------------------------------------------------------------


def tick(platform: Platform, now: datetime) -> Any:
    context = dg.build_schedule_context(platform.instance, scheduled_execution_time=now)
    zone, warehouse = platform.landing_zone, platform.warehouse
    return every_day(
        context,
        landing_zone=zone,
        warehouse=warehouse,
        event_log=platform.wired.event_log,
    )


def test_the_schedule_asks_for_the_day_that_has_ended(platform: Platform) -> None:
    platform.deliver(DAYS[0])
    request = tick(platform, datetime(1998, 3, 29, 0, 30, tzinfo=UTC))
    assert (request.partition_key, request.run_key) == (DAYS[0], DAYS[0])


def test_the_schedule_skips_a_day_without_a_chunk_and_says_which_file(platform: Platform) -> None:
    skipped = tick(platform, datetime(1998, 3, 29, 0, 30, tzinfo=UTC))
    assert isinstance(skipped, dg.SkipReason)
    assert f"{DAYS[0]}.csv" in skipped.skip_message


def test_the_schedule_skips_when_partitions_have_ended(platform: Platform) -> None:
    skipped = tick(platform, datetime(2026, 1, 1, 0, 30, tzinfo=UTC))
    assert isinstance(skipped, dg.SkipReason)
    assert "2025-12-31 is not a partition" in skipped.skip_message


# -- the landing zone ------------------------------------------------------------------------------


def watch(platform: Platform, cursor: str | None = None) -> tuple[list[Any], str]:
    """(job, first, last) of each run asked for, and the new cursor."""
    context = dg.build_sensor_context(
        platform.instance, cursor=cursor, definitions=platform.definitions
    )
    result = landing_zone_watch(context, landing_zone=platform.landing_zone)
    requests = result.run_requests or []
    assert len({request.run_key for request in requests}) == len(requests)
    asked = [(one.job_name, one.tags.get(RANGE_START), one.tags.get(RANGE_END)) for one in requests]
    return asked, str(result.cursor)


def test_new_and_changed_chunks_are_asked_for_as_ranges(platform: Platform) -> None:
    platform.deliver(*DAYS[:3], DAYS[5], "2026-01-01")  # the last is no partition
    asked, cursor = watch(platform)
    assert asked == [
        ("catalogue", None, None),
        ("daily", DAYS[0], DAYS[2]),
        ("daily", DAYS[5], DAYS[5]),
    ]
    assert watch(platform, cursor) == ([], cursor)
    platform.landing_zone.deliver(DAYS[1], as_csv(ratings_of_day(DAYS[1], seed=1)))
    asked, cursor = watch(platform, cursor)
    assert asked == [("daily", DAYS[1], DAYS[1])]


def test_a_file_is_news_when_its_day_becomes_a_partition(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.deliver("1996-01-01")
    platform.landing_zone.deliver("1998-04-23", b"")  # the day after the last partition
    _, cursor = watch(platform)
    assert "1998-04-23" not in cursor
    assert "1996-01-01" not in cursor


def test_a_changed_catalogue_is_asked_for(platform: Platform) -> None:
    platform.deliver()
    _, cursor = watch(platform)
    platform.landing_zone.deliver_movies(catalogue(81))
    path = platform.landing_zone.movies_path()
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    assert watch(platform, cursor)[0] == [("catalogue", None, None)]


def test_contiguous_stretches() -> None:
    assert contiguous("abcdef", set("abdf")) == [("a", "b"), ("d", "d"), ("f", "f")]
    assert contiguous("abc", set()) == []


# -- deployment ------------------------------------------------------------------------------------


@contextmanager
def endpoint(status: int, body: object) -> Iterator[str]:
    """A server that gives the same answer to everything; its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the name is the library's

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def promoted(platform: Platform, version: int) -> None:
    event = dg.AssetMaterialization(PRODUCTION_MODEL, metadata={"version": version})
    platform.instance.report_runless_asset_event(event)


def compare(
    platform: Platform, *urls: str, cursor: str | None = None
) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(
        platform.instance, cursor=cursor, definitions=platform.definitions
    )
    return deploy_production(
        context, serving_client=ServingClient(endpoints=list(urls)), notifier=Notifier()
    )


DOWN = "http://127.0.0.1:1"  # nobody listens on tcpmux


@pytest.mark.parametrize("results", [[], None, [{"items": []}]])
def test_lists_that_are_not_one_a_user_are_the_endpoints_failure(results: object) -> None:
    client = ServingClient(endpoints=())
    with (
        endpoint(200, {"model_version": 1, "results": results}) as url,
        pytest.raises(EndpointError, match="has no list for each of 2 users"),
    ):
        client.recommended_together(url, ["u", "v"], 10)


def test_nothing_is_deployed_before_anything_is_in_production(platform: Platform) -> None:
    assert isinstance(compare(platform, DOWN), dg.SkipReason)


def test_endpoints_that_serve_production_are_left_alone(platform: Platform) -> None:
    promoted(platform, 3)
    with endpoint(200, {"version": 3}) as one, endpoint(200, {"version": 3}) as other:
        result = compare(
            platform, one, other, cursor='{"version": 3, "attempt": 5, "not_before": 0}'
        )
    assert isinstance(result, dg.SensorResult)
    assert result.run_requests == []
    assert Attempts.loads(result.cursor) == Attempts()
    assert "every endpoint serves version 3" in str(result.skip_reason)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"version": 2}),
        (503, {"detail": "no model"}),
        (404, {}),
        (200, []),
        (200, {"version": None}),
    ],
)
def test_an_endpoint_that_serves_something_else_is_deployed_to(
    platform: Platform, status: int, body: object
) -> None:
    promoted(platform, 3)
    with endpoint(200, {"version": 3}) as good, endpoint(status, body) as other:
        result = compare(platform, good, other)
    assert isinstance(result, dg.SensorResult)
    assert [request.tags["movierec/version"] for request in result.run_requests or []] == ["3"]


def test_an_endpoint_that_serves_another_model_under_the_number_is_deployed_to(
    platform: Platform,
) -> None:
    """A registry that was lost counts from 1 again: the number alone would agree."""
    metadata = {"version": 3, "identity": "a"}
    event = dg.AssetMaterialization("production_model", metadata=metadata)
    platform.instance.report_runless_asset_event(event)
    with endpoint(200, {"version": 3, "identity": "b"}) as other:
        result = compare(platform, other)
    assert isinstance(result, dg.SensorResult)
    assert [request.tags["movierec/version"] for request in result.run_requests or []] == ["3"]
    with endpoint(200, {"version": 3, "identity": "a"}) as same:
        assert compare(platform, same).run_requests == []


PAUSES = [5, 10, 20, 40, 80, 160, *[LONGEST_PAUSE_S] * 3]


def test_an_endpoint_that_is_down_is_tried_for_ever_with_doubling_pauses(
    platform: Platform,
) -> None:
    promoted(platform, 3)
    cursor, keys, pauses = None, set(), []
    for attempt in range(1, 10):
        before = datetime.now(UTC).timestamp()
        result = compare(platform, DOWN, cursor=cursor)
        assert isinstance(result, dg.SensorResult)
        (request,) = result.run_requests or []
        assert request.tags["movierec/attempt"] == str(attempt)
        keys.add(request.run_key)
        state = json.loads(str(result.cursor))
        least, most = (state["not_before"] - at for at in (datetime.now(UTC).timestamp(), before))
        pauses.append(least <= PAUSES[attempt - 1] <= most)  # however long the tick took
        pausing = json.dumps({**state, "not_before": most + before + 600})  # however slow we are
        early = compare(platform, DOWN, cursor=pausing)
        assert isinstance(early, dg.SensorResult)
        assert (early.run_requests, early.cursor) == ([], pausing)
        assert DOWN in str(early.skip_reason)
        cursor = json.dumps({**state, "not_before": 0})  # as if the pause had passed
    assert len(keys) == 9
    assert all(pauses)
    promoted(platform, 4)  # a new version does not wait for the old one's pause
    result = compare(platform, DOWN, cursor=json.dumps({**state, "not_before": 1e12}))
    assert isinstance(result, dg.SensorResult)
    assert [one.tags["movierec/attempt"] for one in result.run_requests or []] == ["1"]


def test_an_endpoint_that_answers_again_is_tried_at_once_and_recovery_is_told(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    promoted(platform, 3)
    cursor = json.dumps({"version": 3, "attempt": 7, "not_before": 1e12, "down": []})
    result = compare(platform, DOWN, cursor=cursor)
    assert isinstance(result, dg.SensorResult)
    assert result.run_requests == []  # it went down while another cause was waited for
    with endpoint(503, {"detail": "no model"}) as back:
        cursor = str(result.cursor).replace(DOWN, back)
        result = compare(platform, back, cursor=cursor)
    assert isinstance(result, dg.SensorResult)
    assert [one.tags["movierec/attempt"] for one in result.run_requests or []] == ["8"]
    with endpoint(200, {"version": 3}) as back:
        cursor = kept(compare(platform, back, cursor=str(result.cursor)), str(result.cursor))
        assert "every endpoint serves version 3 again, after 8 attempts" in caplog.text
        for _ in range(3):  # each in what could be a daemon of its own: it has the cursor alone
            cursor = kept(compare(platform, back, cursor=cursor), cursor)
    assert caplog.text.count("every endpoint serves version 3 again") == 1


def kept(result: dg.SensorResult | dg.SkipReason, before: str) -> str:
    """The cursor after a tick, as Dagster keeps it: an empty one changes nothing."""
    return (isinstance(result, dg.SensorResult) and result.cursor) or before


def test_a_deployment_under_way_is_waited_for(platform: Platform) -> None:
    promoted(platform, 3)
    job = platform.definitions.resolve_job_def(deploy_job.name)
    run = platform.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    result = compare(platform, DOWN)
    assert isinstance(result, dg.SkipReason)
    assert run.run_id[:8] in str(result.skip_message)


def test_a_deployment_that_no_endpoint_acknowledged_fails_and_names_it(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.deliver(DAYS[0])
    platform.run(DAYS[0])
    with endpoint(409, {"detail": "altered"}) as one, endpoint(401, {}) as other:
        monkeypatch.setenv("MOVIEREC_ENDPOINTS", f"{DOWN},{one},{other}")
        settings.cache_clear()
        result = platform.run("-", job="deploy")
    assert not result.success
    failure = str(result.failure_data_for_node("served_model").user_failure_data)
    assert DOWN in failure
    assert "answered 409" in failure
    assert f"{other} has another MOVIEREC_RELOAD_TOKEN" in failure
    assert (platform.root / "models" / "1" / "publication.json").is_file()
    assert named_production(platform.root / "models") == 1  # they begin with it when they come up


def test_a_damaged_bundle_is_named_and_mended_by_training_its_day(platform: Platform) -> None:
    platform.deliver(DAYS[0])
    platform.run(DAYS[0])
    identity = platform.model_registry.production().identity
    factors = platform.bundle_store.served(identity) / "user_factors.npy"
    sound = factors.read_bytes()
    factors.unlink()
    factors.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    result = platform.run("-", job="deploy")
    failure = str(result.failure_data_for_node("served_model").user_failure_data)
    assert f"materialize als_model of {DAYS[0]} again" in failure
    assert platform.run(DAYS[0], None, "als_model").success
    assert factors.read_bytes() == sound
