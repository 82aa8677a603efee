"""What a person wants to know while the platform runs, as sentences.

Read from what Dagster has recorded and from what the endpoints answer, not from anybody's log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import dagster as dg

from movierec_assets.defs.shared.runs import cause, subject
from movierec_assets.errors import EndpointError
from movierec_assets.resources.serving_client import ServingClient

AT_ONCE = 100  # events of an asset that are told in one look; the next look goes on
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


class News:
    """What was served, promoted, refused or failed since the last look."""

    def __init__(self, instance: dg.DagsterInstance, client: ServingClient, ui: str) -> None:
        """Begin now: what happened before is told by nobody.

        Args:
            ui: base URL of Dagster's UI, for links to runs.
        """
        self._instance, self._client, self._ui = instance, client, ui
        self._production = Events(instance, "production_model")
        self._verdicts = Events(instance, "gate_verdict")
        self._since = datetime.now(UTC)
        self._told: set[str] = set()
        self._served: dict[str, str] = {}

    def lines(self) -> list[str]:
        """Everything new, one sentence an event; asks each endpoint what it serves."""
        return [
            *map(promotion, self._production.new()),
            *refusals(self._verdicts.new()),
            *self._of_endpoints(),
            *self._of_runs(),
        ]

    def _of_endpoints(self) -> Iterator[str]:
        for url in self._client.endpoints:
            known = self._served.get(url)
            try:
                version = self._client.served(url)
            except EndpointError:
                if known is None:
                    continue  # it is starting
                now = "does not answer"
            else:
                now = f"serves version {version}" if version else "serves nothing yet"
            if now != known:
                self._served[url] = now
                yield f"{url} {now}"

    def _of_runs(self) -> Iterator[str]:
        updated = dg.RunsFilter(statuses=FINISHED, updated_after=self._since)
        records = self._instance.get_run_records(
            updated, order_by="update_timestamp", ascending=True
        )
        for record in records:
            run = record.dagster_run
            if run.run_id not in self._told:
                self._told.add(run.run_id)
                yield from told_of_run(self._instance, run, self._ui)


class Events:
    """The materializations of one asset, each given once."""

    def __init__(self, instance: dg.DagsterInstance, asset: str) -> None:
        self._instance, self._asset = instance, dg.AssetKey(asset)
        newest = instance.fetch_materializations(self._asset, limit=1).records
        self._last = newest[0].storage_id if newest else 0

    def new(self) -> list[Mapping[str, Any]]:
        """The metadata of each that came since, oldest first."""
        later = dg.AssetRecordsFilter(self._asset, after_storage_id=self._last)
        records = self._instance.fetch_materializations(
            later, limit=AT_ONCE, ascending=True
        ).records
        if records:
            self._last = records[-1].storage_id
        materializations = [record.asset_materialization for record in records]
        return [
            {key: entry.value for key, entry in materialization.metadata.items()}
            | {"day": materialization.partition or ""}
            for materialization in materializations
            if materialization is not None
        ]


def promotion(event: Mapping[str, Any]) -> str:
    """Say how production moved; the metadata is that of `production_model`."""
    if not event["version"]:
        return f"nothing is in production any more: {event['why']}"
    return (
        f"version {event['version']} is in production, data until {event['data until']} "
        f"(before: {event['from'] or 'none'}): {event['why']}"
    )


def refusals(events: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Say which versions were not promoted and why; nothing of those that passed the gate.

    A day without ratings of its own has the model of the day before: it is told once, of all days.
    """
    not_passed = (event for event in events if event["verdict"] != "passed")
    for (what, verdict), of in groupby(not_passed, _verdict):
        days = [str(event["day"]) for event in of]
        span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        yield f"{what} of {span}: {verdict}"


def _verdict(event: Mapping[str, Any]) -> tuple[str, str]:
    what = f"version {event['version']}" if "version" in event else "the model"
    return what, f"{str(event['verdict']).replace('_', ' ')}: {event['reason']}"


def told_of_run(instance: dg.DagsterInstance, run: dg.DagsterRun, ui: str) -> Iterator[str]:
    """Say how a run ended and why, then which of its checks failed or warn."""
    link = f"{ui}/runs/{run.run_id}"
    if run.status is dg.DagsterRunStatus.FAILURE:
        yield f"{subject(run)} failed: {cause(instance, run.run_id)} {link}"
    elif run.status is dg.DagsterRunStatus.CANCELED:
        yield f"{subject(run)} was canceled: {link}"
    else:
        yield f"{subject(run)} is done"
    evaluations = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    for entry in evaluations:
        check = entry.get_dagster_event().asset_check_evaluation_data
        if not check.passed:
            name = f"{check.check_name} of {check.asset_key.to_user_string()}"
            verb = "warns" if check.severity is dg.AssetCheckSeverity.WARN else "failed"
            yield f"check {name} {verb}: {check.description or link}"
