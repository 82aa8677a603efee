"""Traces by OpenTelemetry, where `OTEL_EXPORTER_OTLP_ENDPOINT` names who collects them.

Without it nothing of OpenTelemetry's SDK is imported, and a span is nothing. What is a span stands
where the work is done; how they reach a collector is here alone. OpenTelemetry's own variables
choose the rest, such as `OTEL_TRACES_SAMPLER`.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

logger = logging.getLogger(__name__)

COLLECTOR = "OTEL_EXPORTER_OTLP_ENDPOINT"
PARENT = "traceparent"  # the W3C's header, by which one process continues another's trace


@cache
def on() -> bool:
    """Whether spans are collected: somebody is named to collect them, and the extra is here."""
    if not os.environ.get(COLLECTOR):
        return False
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.exporter") is None:
        logger.error("%s is set, and nothing is traced: install movierec[tracing]", COLLECTOR)
        return False
    return True


@contextmanager
def span(
    name: str, parent: str | None = None, **attributes: str | int | None
) -> Iterator["Span | None"]:
    """The time of the block, below what this process is at, or below another process's span.

    Args:
        parent: a `traceparent`.
        attributes: None is left out.
    """
    if not on():
        yield None
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract({PARENT: parent}) if parent else None
    known = {key: value for key, value in attributes.items() if value is not None}
    with _tracer(os.getpid()).start_as_current_span(name, context, attributes=known) as begun:
        yield begun


def current() -> dict[str, str]:
    """The header by which another process continues here; empty where nothing is traced."""
    headers: dict[str, str] = {}
    if on():
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(headers)
    return headers


def of_run(run_id: str) -> str:
    """The parent of all spans of one of Dagster's runs, whose id is the trace's."""
    trace = run_id.replace("-", "")
    return f"00-{trace}-{trace[:16]}-01"


def packed(body: bytes) -> bytes:
    """A body on its way through a queue, with the span that it comes from."""
    return current().get(PARENT, "").encode() + b"\n" + body if on() else body


def unpacked(body: bytes) -> tuple[str | None, bytes]:
    """The span that a body comes from, and the body."""
    if not on():
        return None, body
    parent, _, rest = body.partition(b"\n")
    return parent.decode(), rest


@cache
def _tracer(pid: int) -> "Tracer":
    """One a process: the thread that sends does not outlive a fork."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    os.environ.setdefault("OTEL_SERVICE_NAME", "movierec-pipeline")
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("movierec")
