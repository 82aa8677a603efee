"""`movierec status`: where each stage stands, and where two of them disagree."""

from __future__ import annotations

import time

import dagster as dg
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from movierec_assets.cli.recovering import all_losses
from movierec_assets.cli.renewal import renewal
from movierec_assets.cli.setup import load_env
from movierec_assets.maintenance.disk import bytes_by_store, in_words, shared_in_words
from movierec_assets.maintenance.survey import survey
from movierec_assets.monitoring.status import Status
from movierec_assets.platform import wired
from movierec_assets.settings import env_file
from movierec_assets.settings.unknown import unknown_settings

SILENT_S = 300.0  # the daemon says every 30 s that it runs


def show_status() -> bool:
    """Print the table, then each disagreement with its reason; whether there is none."""
    load_env()
    platform = wired()
    with dg.DagsterInstance.get() as instance:
        lost = [str(loss) for loss in all_losses(platform, instance)]
        silent = silence(instance, time.time())
        status = survey(platform, [*unknown_settings(env_file()), *lost, *silent])
    console = Console(highlight=False)
    console.print(_table(status))
    console.print(f"disk: {in_words(bytes_by_store(platform.settings.warehouse))}")
    if shared := shared_in_words(platform):
        console.print(shared, markup=False, soft_wrap=True)
    if note := renewal(platform):
        console.print(note, markup=False, soft_wrap=True)
    for line in status.disagreements:
        console.print(f"[yellow]![/] {escape(line)}", soft_wrap=True)
    return not status.disagreements


def silence(instance: dg.DagsterInstance, now: float) -> list[str]:
    """Say that Dagster's daemon has fallen silent; nothing if it has not, or there was none."""
    heartbeats = [heartbeat.timestamp for heartbeat in instance.get_daemon_heartbeats().values()]
    quiet_s = now - max(heartbeats, default=now)
    if quiet_s < SILENT_S:
        return []
    quiet = f"Dagster's daemon has not been heard of for {quiet_s / 60:.0f} minutes"
    return [f"{quiet}: nothing is run or deployed; start `movierec up` again"]


def _counted(count: int, what: str, then: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'} {then}"


def _table(status: Status) -> Table:
    """A row for each stage: how many days it has, and the last one."""
    passed = sum(version.gate == "passed" for version in status.versions)
    table = Table("stage", "count", "last day", "")
    for stage, days, note in (
        ("delivered", status.delivered, f"in {status.landing_zone}"),
        ("ingested", status.ingested, f"{status.rows:,} rows"),
        ("validated", status.accepted, _counted(len(status.refused), "day", "refused")),
        ("trained", list(status.models), ""),
        (
            "registered",
            [version.data_until for version in status.versions],
            f"{passed} passed the gate",
        ),
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
