"""Write the dashboards: `python deploy/grafana/make.py`. What is shown stands in `BOARDS`.

Each panel has a title, a query and a unit of Grafana's; the rest is the same for all. A test runs
every query against a real Prometheus. Nothing here has been rendered.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDTH, HEIGHT = 12, 8  # of a panel; a board is 24 wide
ENDPOINT = 'job="movierec-endpoint"'


class Panel(NamedTuple):
    """A picture of one query over time; `legend` is Grafana's template of a line's name."""

    title: str
    query: str
    legend: str = ""
    unit: str = "short"


BOARDS: dict[str, list[Panel]] = {
    "service": [
        Panel("Endpoints that answer", f"up{{{ENDPOINT}}}", "{{instance}}"),
        Panel(
            "Requests by route",
            "sum by (route) (rate(movierec_requests_total[5m]))",
            "{{route}}",
            "reqps",
        ),
        Panel(
            "Requests by status",
            "sum by (status) (rate(movierec_requests_total[5m]))",
            "{{status}}",
            "reqps",
        ),
        Panel(
            "Share of answers with 5xx",
            "instance:movierec_request_errors:ratio5m",
            "{{instance}}",
            "percentunit",
        ),
        Panel(
            "Time to answer, 99 of 100 requests",
            "histogram_quantile(0.99, sum by (route, le) "
            "(rate(movierec_request_duration_seconds_bucket[5m])))",
            "{{route}}",
            "s",
        ),
        Panel(
            "Time to answer, half of the requests",
            "histogram_quantile(0.5, sum by (route, le) "
            "(rate(movierec_request_duration_seconds_bucket[5m])))",
            "{{route}}",
            "s",
        ),
        Panel(
            "Users of one request, at most (9 of 10 requests)",
            "histogram_quantile(0.9, sum by (le) (rate(movierec_batch_users_bucket[5m])))",
        ),
        Panel(
            "Requests that wait for workers",
            "sum by (process) (movierec_waiting_requests)",
            "{{process}}",
        ),
        Panel("Requests refused, too many wait", "movierec_overload_rejections_total"),
        Panel("Version of each process", "movierec_open_model_version", "{{process}} {{pid}}"),
        Panel(
            "Memory by process",
            "sum by (process) (movierec_process_resident_memory_bytes)",
            "{{process}}",
            "bytes",
        ),
        Panel("CPU by process", "process:movierec_cpu:rate5m", "{{process}}", "short"),
        Panel("Processes by kind", "movierec_processes", "{{process}}"),
        Panel(
            "Machine: share of CPU that is busy",
            'avg(1 - rate(node_cpu_seconds_total{mode="idle"}[5m]))',
            "",
            "percentunit",
        ),
        Panel(
            "Machine: memory that is available",
            "node_memory_MemAvailable_bytes",
            "{{instance}}",
            "bytes",
        ),
    ],
    "pipeline": [
        Panel("Days by stage", "movierec_days", "{{stage}}"),
        Panel(
            "Backfill: share of delivered days that are trained",
            'movierec_days{stage="trained"} / ignoring(stage) movierec_days{stage="delivered"}',
            "",
            "percentunit",
        ),
        Panel("Ratings by what became of them", "movierec_ratings", "{{kind}}"),
        Panel("Records of the newest day", "movierec_newest_day_ratings"),
        Panel(
            "Share of the newest day's records that is rejected",
            "movierec_newest_day_rejected_ratio",
            "",
            "percentunit",
        ),
        Panel("Refused days in a row", "movierec_refused_days_in_a_row"),
        Panel(
            "Time since an asset was last made",
            "time() - movierec_asset_last_success_timestamp_seconds",
            "{{asset}}",
            "s",
        ),
        Panel("Runs by status", "movierec_runs > 0", "{{status}}"),
        Panel("Jobs whose last run failed", "movierec_job_last_run_failed", "{{dagster_job}}"),
        Panel("Checks that pass", "movierec_check_passed", "{{asset}} {{check}}"),
        Panel("Disk by store", "movierec_store_bytes", "{{store}}", "bytes"),
        Panel("Share of the disk that is free", "disk:movierec_free:ratio", "", "percentunit"),
        Panel("Stores that can be read", "movierec_source_readable", "{{source}}"),
        Panel("Age of what is said of a store", "movierec_source_age_seconds", "{{source}}", "s"),
    ],
    "models": [
        Panel("Versions by verdict", "movierec_versions", "{{verdict}}"),
        Panel("Versions the gate did not pass, in a row", "movierec_gate_refusals_in_a_row"),
        Panel("Production", "movierec_production_version"),
        Panel("Served", "movierec_served_version", "{{endpoint}}"),
        Panel("Accepted days that production lacks", "movierec_production_days_behind"),
        Panel(
            "Time that an endpoint has not served production",
            "movierec_deploy_lag_seconds",
            "{{endpoint}}",
            "s",
        ),
        Panel(
            "Age of the served model's last day",
            "time() - movierec_model_data_until_timestamp_seconds",
            "{{instance}}",
            "s",
        ),
        Panel("Reloads by result", "sum by (result) (movierec_reloads_total)", "{{result}}"),
    ],
    "experiments": [
        Panel("NDCG@10 on the next day's ratings", "movierec_next_day_ndcg", "{{model}}"),
        Panel("Users it is of; few say little", "movierec_next_day_users"),
        Panel(
            "Lead of production over popularity",
            'movierec_next_day_ndcg{model="production"} - ignoring(model) '
            'movierec_next_day_ndcg{model="popularity"}',
        ),
        Panel("Lists shown by arm", "sum by (arm) (movierec_shown_lists)", "{{arm}}"),
        Panel("Lists shown by source", "sum by (source) (movierec_shown_lists)", "{{source}}"),
        Panel("Users by arm", "movierec_arm_users", "{{experiment}} {{arm}}"),
        Panel(
            "Lead of an arm over the control, and its interval",
            "movierec_arm_lead",
            "{{experiment}} {{arm}} {{bound}}",
        ),
        Panel(
            "Probability of the arms' numbers by chance",
            "movierec_sample_ratio_p",
            "{{experiment}}",
        ),
        Panel("Lists that could not be written down", "movierec_lost_lists_total"),
        Panel(
            "Lists of popular movies instead of a user's own",
            "sum by (reason) (rate(movierec_fallbacks_total[5m]))",
            "{{reason}}",
            "reqps",
        ),
        Panel(
            "The same, beside all requests",
            "instance:movierec_fallbacks:ratio5m",
            "{{instance}}",
            "percentunit",
        ),
    ],
}


def board(name: str) -> dict[str, Any]:
    """A dashboard as Grafana reads it, two panels a row."""
    return {
        "uid": f"movierec-{name}",
        "title": f"movierec: {name}",
        "tags": ["movierec"],
        "schemaVersion": 39,
        "time": {"from": "now-24h", "to": "now"},
        "refresh": "1m",
        "panels": [_panel(place, panel) for place, panel in enumerate(BOARDS[name])],
    }


def _panel(place: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(place, 2)
    target = {"refId": "A", "expr": panel.query, "legendFormat": panel.legend or panel.title}
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [{**target, "datasource": SOURCE}],
    }


def written(name: str) -> str:
    """The text of a dashboard's file."""
    return json.dumps(board(name), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    for name in BOARDS:
        (FOLDER / f"{name}.json").write_text(written(name), encoding="utf-8")


if __name__ == "__main__":
    main()
