"""Dagster's GraphQL API, as its UI calls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

LAUNCH_BACKFILL = """mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
BACKFILL = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
  __typename ... on PythonError { message }
  ... on PartitionBackfill { status error { message } runs(limit: 20) { runId status } } } }"""
LAUNCH_RUN = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on InvalidSubsetError { message } ... on RunConfigValidationInvalid { errors { message } } } }
  """
REEXECUTE = """mutation($params: ReexecutionParams!) { launchRunReexecution(reexecutionParams:
  $params) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
RUN = "query($id: ID!) { runOrError(runId: $id) { __typename ... on Run { status } } }"
UNFINISHED = """{ runsOrError(limit: 20, filter: {
  statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING] }) {
  __typename ... on Runs { results { runId } } ... on PythonError { message } } }"""
LOADED = (
    "{ repositoriesOrError { __typename ... on RepositoryConnection { nodes { name location "
    "{ name } } } } }"
)


class DagsterApiError(RuntimeError):
    """Dagster answered with an error; the message is its own."""


class DagsterApi:
    """A webserver's GraphQL endpoint."""

    def __init__(self, url: str, user: str = "") -> None:
        self.url = url
        self._headers = {"X-Forwarded-User": user} if user else {}  # as a proxy names who asks

    def query(self, text: str, **variables: Any) -> dict[str, Any]:
        """Run a query or mutation; the value of its only field.

        Raises:
            DagsterApiError: an error in the answer.
            httpx.HTTPError: no answer.
        """
        answer = httpx.post(
            f"{self.url}/graphql",
            json={"query": text, "variables": variables},
            headers=self._headers,
            timeout=60,
        )
        body = answer.json()
        if body.get("errors"):
            raise DagsterApiError(str(body["errors"]))
        (value,) = body["data"].values()
        if "Error" in value["__typename"] or "Invalid" in value["__typename"]:
            raise DagsterApiError(str(value))
        return dict(value)

    def location(self) -> tuple[str, str] | None:
        """(repository, location) once the code location is loaded."""
        try:
            nodes = self.query(LOADED)["nodes"]
        except (httpx.HTTPError, DagsterApiError):
            return None
        return (nodes[0]["name"], nodes[0]["location"]["name"]) if nodes else None

    def launch_backfill(
        self,
        title: str,
        ranges: Mapping[str, tuple[str, str]],
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Backfill each asset over its (first, last) days; the backfill's id."""
        partitions = [
            {"assetKey": {"path": [asset]}, "partitions": {"range": {"start": first, "end": last}}}
            for asset, (first, last) in ranges.items()
        ]
        tagged = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        params = {"partitionsByAssets": partitions, "title": title, "tags": tagged}
        return str(self.query(LAUNCH_BACKFILL, params=params)["backfillId"])

    def launch_job(
        self,
        job: str,
        tags: Mapping[str, str],
        assets: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
    ) -> str:
        """Launch a job, or some of its assets; the run's id."""
        repository, location = self.location() or ("", "")
        selector = {
            "jobName": job,
            "repositoryName": repository,
            "repositoryLocationName": location,
            "assetSelection": [{"path": [asset]} for asset in assets] or None,
        }
        tagged = [{"key": key, "value": value} for key, value in tags.items()]
        params = {
            "selector": selector,
            "runConfigData": config or {},
            "executionMetadata": {"tags": tagged},
        }
        return str(self.query(LAUNCH_RUN, params=params)["run"]["runId"])

    def relaunch(self, run: str) -> str:
        """Re-execute all steps of a run; the new run's id."""
        params = {"parentRunId": run, "strategy": "ALL_STEPS"}
        return str(self.query(REEXECUTE, params=params)["run"]["runId"])

    def backfill(self, backfill: str) -> dict[str, Any]:
        """Status, error and runs of a backfill."""
        return self.query(BACKFILL, id=backfill)

    def run_status(self, run: str) -> str:
        """Status of a run."""
        return str(self.query(RUN, id=run)["status"])

    def unfinished_runs(self) -> list[str]:
        """Ids of runs that wait or run, at most 20."""
        return [run["runId"] for run in self.query(UNFINISHED)["results"]]
