"""Traces reach a collector, from request to worker and from a day to the endpoint."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from movierec_serving import tracing
from movierec_serving.http.middleware.traced import Traced
from tests.conftest import ROOT, Platform
from tests.support.endpoint_process import TOKEN, EndpointProcess, wait_for
from tests.support.http_server import serving
from tests.support.sample_models import publish_version

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DAY = "1998-03-02"


@contextmanager
def collector() -> Iterator[tuple[dict[str, str], dict[bytes, Span]]]:
    """An OTLP receiver: the variables that lead to it, and the spans that it got by their ids."""
    spans: dict[bytes, Span] = {}

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    spans.update({one.span_id: one for one in scope.spans})
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with serving(Collector) as port:
        named = {tracing.COLLECTOR: f"http://127.0.0.1:{port}", "OTEL_BSP_SCHEDULE_DELAY": "50"}
        yield named, spans


@contextmanager
def tracing_here(named: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process traces, as its environment says."""
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    tracing.on.cache_clear()
    try:
        yield
    finally:
        tracing.on.cache_clear()
        tracing._tracer.cache_clear()


def path(spans: dict[bytes, Span], name: str) -> list[str] | None:
    """The names from the top of its trace to the newest span of a name; None: it has not come."""
    found = [one for one in list(spans.values()) if one.name == name]
    names: list[str] = []
    at = found[-1] if found else None
    while at is not None:
        names.append(at.name)
        above = at.parent_span_id
        at = spans.get(above)
    return [*names[::-1]] or None


def test_a_request_is_followed_to_the_worker_and_a_reload_to_each_process(tmp_path: Path) -> None:
    store = tmp_path / "warehouse" / "models"
    store.mkdir(parents=True)
    publish_version(store, 1)
    with collector() as (named, spans):
        endpoint = EndpointProcess(tmp_path, MOVIEREC_TRACE_SHARE="0", **named).start()
        try:
            users = {"users": [f"u{number}" for number in range(300)]}
            assert endpoint.reload(1).is_success
            assert endpoint.client.post("/recommend", json=users).is_success  # is no span anywhere
            endpoint.client.headers["traceparent"] = CALLER
            assert endpoint.reload(1).is_success
            assert endpoint.client.post("/recommend", json=users).is_success
            wait_for(lambda: path(spans, "open"), "a process opened the version")
            for expected in (["POST /reload", "reload"], ["POST /recommend", "worker"]):
                wait_for(lambda way=expected: path(spans, way[-1]) == way, f"{expected}")
        finally:
            endpoint.close()
    trace, caller = (bytes.fromhex(part) for part in CALLER.split("-")[1:3])
    tops = [one for one in spans.values() if one.name.startswith("POST")]
    assert {(one.trace_id, one.parent_span_id) for one in tops} == {(trace, caller)}
    assert {one.trace_id for one in spans.values() if one.name == "worker"} == {trace}
    opened = [one for one in spans.values() if one.name == "open"]
    assert {one.attributes[0].value.int_value for one in opened} == {1}
    texts = "".join(map(str, spans.values()))
    assert "u299" not in texts
    assert TOKEN not in texts


def test_the_share_decides_for_callers_who_trace_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("")(scope, receive, send)

    lost, kept = CALLER[:-2] + "00", CALLER
    with collector() as (named, spans), tracing_here(named, monkeypatch):
        for method, share, caller in [
            ("GET", 0.0, None),
            ("HEAD", 1.0, lost),
            ("PUT", 0.0, kept),
            ("DELETE", 0.0, "none-01"),
            ("PATCH", 1.0, "none-00"),
            ("POST", 1.0, None),
        ]:
            headers = {} if caller is None else {"traceparent": caller}
            client = httpx.AsyncClient(transport=httpx.ASGITransport(Traced(app, share)))
            asyncio.run(client.request(method, "http://endpoint/", headers=headers))  # type: ignore[arg-type]
        wait_for(lambda: path(spans, "POST"), "the last one")
        assert {one.name for one in spans.values()} == {"PUT", "PATCH", "POST"}


def test_the_stages_of_a_day_are_one_trace_by_the_runs_id(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.deliver(DAY, ratings=600)
    with collector() as (named, spans), tracing_here(named, monkeypatch):
        run = platform.run(DAY, DAY, "raw_ratings", "validated_ratings")
        wait_for(lambda: len(spans) == 4, "all spans are sent")
    assert {one.trace_id.hex() for one in spans.values()} == {run.run_id.replace("-", "")}
    assert sorted(one.name for one in spans.values()) == [
        *("day", "day", "raw_ratings", "validated_ratings")
    ]


def test_without_a_collector_nothing_is_imported() -> None:
    code = (
        "import sys, movierec_serving.runtime.server\n"
        "from movierec_serving import tracing\n"
        "with tracing.span('x') as span: assert span is None\n"
        "assert tracing.packed(b'{}') == b'{}' and tracing.current() == {}\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
