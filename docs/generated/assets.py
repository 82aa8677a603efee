"""Assets, jobs, schedules and sensors, as the code location defines them."""

from __future__ import annotations

import os
import tempfile
import warnings
from functools import cache
from importlib import import_module
from operator import attrgetter
from typing import Any

from docs.generated.markdown import sentence, table
from movierec_assets.meanings import meanings_of


def assets() -> str:
    """A heading for each asset: what it is, what it needs, its checks, its metadata."""
    graph = _definitions().resolve_asset_graph()
    meanings = meanings_of("metadata")
    sections = []
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        name = key.to_user_string()
        needs = ", ".join(f"`{parent.to_user_string()}`" for parent in sorted(node.parent_keys))
        kind = "One a day" if node.is_partitioned else "Not by day"
        parts = [
            f"### `{name}`",
            " ".join((node.description or "").split()),
            f"{kind}. Group: {node.group_name}. Needs: {needs or 'nothing'}.",
        ]
        checks = [
            (f"`{check.name}`", sentence(graph.get_check_spec(check).description))
            for check in sorted(node.check_keys)
        ]
        if checks:
            parts.append(table(("check", "passes while"), checks))
        if entries := meanings.get(name):
            rows = [(entry, sentence(text)) for entry, text in entries.items()]
            parts.append(table(("metadata", "meaning"), rows))
        sections.append("\n\n".join(parts))
    return "\n\n".join(sections)


def automation() -> str:
    """What runs the assets: a heading for each job, schedule and sensor."""
    repository = _definitions().get_repository_def()
    sections = [
        f"### Job `{job.name}`\n\n{sentence(job.description)}"
        for job in sorted(repository.get_all_jobs(), key=attrgetter("name"))
        if not job.name.startswith("__")  # Dagster's own
    ]
    for schedule in sorted(repository.schedule_defs, key=attrgetter("name")):
        text = f"{sentence(schedule.description)} At `{schedule.cron_schedule}` (UTC)."
        on = _is_on(schedule)
        sections.append(f"### Schedule `{schedule.name}`\n\n{text} {on}")
    for sensor in sorted(repository.sensor_defs, key=attrgetter("name")):
        text = f"{sentence(sensor.description)} {_is_on(sensor)}"
        sections.append(f"### Sensor `{sensor.name}`\n\n{text}")
    return "\n\n".join(sections)


def _is_on(instigator: Any) -> str:
    return "On from the start." if instigator.default_status.value == "RUNNING" else "Off at first."


@cache
def _definitions() -> Any:
    os.environ.setdefault("MOVIEREC_DAGSTER_DIR", tempfile.gettempdir())  # dagster.yaml names it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dagster's own, of beta features
        return import_module("movierec_assets.definitions").defs
