"""`movierec status`: where each stage stands, and where two of them disagree."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
from dotenv import load_dotenv
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from movierec_assets.cli.recovering import all_losses
from movierec_assets.errors import EndpointError
from movierec_assets.maintenance.disk import bytes_by_store, in_words
from movierec_assets.monitoring.staleness import stale_days
from movierec_assets.monitoring.status import EndpointState, Status
from movierec_assets.partitions import outside_partitions, within
from movierec_assets.platform import Platform, wired
from movierec_assets.ratings.ledger import in_force
from movierec_assets.resources.serving_client import ServingClient


def show_status() -> bool:
    """Print the table, then each disagreement with its reason; whether there is none."""
    load_dotenv(Path(os.environ.get("DAGSTER_HOME", ".")) / ".env")
    platform = wired()
    with dg.DagsterInstance.get() as instance:
        status = survey(platform, [str(loss) for loss in all_losses(platform, instance)])
    console = Console(highlight=False)
    console.print(_table(status))
    console.print(f"disk: {in_words(bytes_by_store(platform.settings.warehouse))}")
    for line in status.disagreements:
        console.print(f"[yellow]![/] {escape(line)}", soft_wrap=True)
    return not status.disagreements


def survey(platform: Platform, losses: Sequence[str] = ()) -> Status:
    """Ask every store, the registry and the endpoints of one home what they have."""
    warehouse, registry = platform.warehouse, platform.model_registry
    landed, ledger, models = platform.landing_zone.days(), warehouse.chunks(), warehouse.models()
    chunks = [chunk for chunks in ledger.values() for chunk in in_force(chunks)]
    partitions = warehouse.partitions(max(models), None) if models else []
    return Status(
        landing_zone=platform.landing_zone.path,
        delivered=within(landed),
        ignored=[*_outside(landed), *platform.landing_zone.odd_names()],
        ingested=list(ledger),
        rows=sum(chunk.rows for chunk in chunks),
        accepted=sorted({chunk.day for chunk in chunks if chunk.current}),
        refused=warehouse.refused(unreadable=True) | warehouse.refused(unreadable=False),
        models={day: model.identity for day, model in models.items() if model.identity},
        stale=stale_days(models.values(), partitions, platform.settings.window_days),
        versions=registry.versions(),
        production=registry.production(),
        endpoints=[_state(platform.serving_client, url) for url in platform.settings.endpoints],
        arm=warehouse.arm,
        days_behind=platform.settings.production_days_behind,
        losses=losses,
    )


def _outside(landed: list[str]) -> list[str]:
    outside = sorted(set(landed) - set(within(landed)))
    return [f"{outside_partitions(outside)}: no stage will read them"] if outside else []


def _state(client: ServingClient, url: str) -> EndpointState:
    try:
        served = client.model(url)
    except EndpointError as error:
        return EndpointState(url, problem=str(error))
    if served is None:
        return EndpointState(url)
    return EndpointState(url, served.version, served.identity)


def _table(status: Status) -> Table:
    """A row for each stage: how many days it has, and the last one."""
    passed = sum(version.gate == "passed" for version in status.versions)
    table = Table("stage", "count", "last day", "")
    for stage, days, note in (
        ("delivered", status.delivered, f"in {status.landing_zone}"),
        ("ingested", status.ingested, f"{status.rows:,} rows"),
        ("validated", status.accepted, f"{len(status.refused)} days refused"),
        ("trained", list(status.models), ""),
        ("registered", [one.data_until for one in status.versions], f"{passed} passed the gate"),
    ):
        table.add_row(stage, str(len(days)), max(days, default="–"), note)
    if status.production is not None:
        number, pinned = status.production.number, status.production.pinned
        pin = f", pinned: {escape(pinned)}" if pinned is not None else ""
        table.add_row("in production", "1", status.production.data_until, f"version {number}{pin}")
    for endpoint in status.endpoints:
        if endpoint.problem is None:
            served = "1" if endpoint.version else "0"
            table.add_row("served", served, "", f"version {endpoint.version} at {endpoint.url}")
    return table
