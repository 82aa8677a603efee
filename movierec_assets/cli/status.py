"""`movierec status`: where each stage stands, and where two of them disagree."""

from __future__ import annotations

import os
from pathlib import Path

from dotenv import load_dotenv
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from movierec_assets.errors import EndpointError
from movierec_assets.monitoring.staleness import stale_days
from movierec_assets.partitions import outside_partitions, within
from movierec_assets.platform import wired
from movierec_assets.ratings.ledger import in_force
from movierec_assets.settings import settings


def show_status() -> bool:
    """Print the table, then each disagreement with its reason; whether there is none."""
    load_dotenv(Path(os.environ.get("DAGSTER_HOME", ".")) / ".env")
    console = Console(highlight=False)
    adapters = wired()
    warehouse, registry = adapters.warehouse, adapters.model_registry
    landed, ledger, models = adapters.landing_zone.days(), warehouse.chunks(), warehouse.models()
    chunks = [one for some in ledger.values() for one in in_force(some)]
    accepted = sorted({one.day for one in chunks if one.current})
    refused = warehouse.refused(unreadable=True) | warehouse.refused(unreadable=False)
    trained = [day for day, model in models.items() if model.identity]
    versions, production = registry.versions(), registry.production()
    registered = [one.data_until for one in versions]
    rows = f"{sum(one.rows for one in chunks):,} rows"
    passed = f"{sum(one.gate == 'passed' for one in versions)} passed the gate"
    table = Table("stage", "count", "last day", "")
    for stage, days, note in (
        ("delivered", landed, f"in {adapters.landing_zone.path}"),
        ("ingested", ledger, rows),
        ("validated", accepted, f"{len(refused)} days refused"),
        ("trained", trained, ""),
        ("registered", registered, passed),
    ):
        table.add_row(stage, str(len(days)), max(days, default="–"), note)
    if production is not None:
        pin = f", pinned: {production.tags['pinned']}" if "pinned" in production.tags else ""
        table.add_row(
            "in production", "1", production.data_until, f"version {production.number}{pin}"
        )
    differ = [f"{day} is refused: {reason}" for day, reason in refused.items()]
    if outside := sorted(set(landed) - set(within(landed))):
        differ.append(f"{outside_partitions(outside)}: no stage will read them")
    differ += adapters.landing_zone.odd_names()
    waiting = sorted(set(within(landed)) - set(ledger))
    if waiting:
        differ.append(
            f"{len(waiting)} delivered days are not ingested, {waiting[0]} to {waiting[-1]}: "
            "materialize them"
        )
    untrained = [day for day in accepted if day > max(trained, default="")]
    if untrained:
        differ.append(
            f"{len(untrained)} validated days have no model, {untrained[0]} to {untrained[-1]}: "
            "materialize als_model"
        )
    partitions = warehouse.partitions(max(models), None) if models else []
    stale = stale_days(models.values(), partitions, settings().window_days)
    if stale:
        differ.append(
            f"{len(stale)} models are stale, {stale[0]} to {stale[-1]}: the check days_current "
            "has the ranges"
        )
    identities = {one.identity for one in versions}
    unregistered = [day for day in trained if models[day].identity not in identities]
    if unregistered:
        differ.append(
            f"{len(unregistered)} models are not registered: materialize registered_model for "
            f"{unregistered[0]} …"
        )
    for url in adapters.serving_client.endpoints:
        try:
            served = adapters.serving_client.served(url)
        except EndpointError as error:
            differ.append(str(error))
            continue
        table.add_row("served", "1" if served else "0", "", f"version {served} at {url}")
        wanted = production.number if production is not None else None
        if served != wanted:
            differ.append(
                f"{url} serves {served or 'nothing'}, production is {wanted or 'none'}: is the "
                "daemon running?"
            )
    console.print(table)
    for line in differ:
        console.print(f"[yellow]![/] {escape(line)}", soft_wrap=True)
    return not differ
