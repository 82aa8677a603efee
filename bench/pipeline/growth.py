"""Years of daily partitions: what a day, a page of the UI and the databases cost as they pile up.

`python -m bench growth` backfills 1,000 days of generated ratings through the daemon, 250 at a
time, the last of each block as a daily run; BENCH_FULL=1 adds 5,000, BENCH_DAYS=n and BENCH_BLOCK=n
choose others. A model sees two weeks only, so that the fit's own data stays the same. After each
block the queries of Dagster's pages are sent.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from bench.goals import goal
from bench.pipeline.platform import ASSETS, in_its_own, started
from movierec_assets.partitions import RANGE_END, RANGE_START
from tests.support.generate import as_csv, days_from, ratings_of_day

DAILY = (*ASSETS, "prequential_evaluation")
FIRST = "2001-01-01"
BLOCK = int(os.environ.get("BENCH_BLOCK", "250"))
SIZE = {"users": 60, "movies": 80, "ratings": 150}  # of a day
SETTINGS = {"WINDOW_DAYS": "14", "FACTORS": "8", "ITERATIONS": "5", "GATE_MARGIN": "0.9"}
KEY = {"path": ["gate_verdict"]}
PAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "partitions of an asset": (
        """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
           partitionKeysByDimension { name partitionKeys }
           assetPartitionStatuses { __typename ... on TimePartitionStatuses {
             ranges { status startTime endTime startKey endKey } } } } } }""",
        {"key": KEY},
    ),
    "events of an asset": (
        """query($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset {
           assetMaterializations(limit: 100) { runId timestamp partition
             metadataEntries { label __typename } } } } }""",
        {"key": KEY},
    ),
    "one partition": (
        """query($key: AssetKeyInput!, $day: String!) { assetOrError(assetKey: $key) { ... on
          Asset {
           assetMaterializations(partitions: [$day], limit: 50) { runId timestamp
             metadataEntries { label description __typename } } } } }""",
        {"key": KEY, "day": FIRST},
    ),
    "asset graph": (
        """query($keys: [AssetKeyInput!]!) {
           assetNodes(assetKeys: $keys) { assetKey { path } staleStatus
             partitionStats { numMaterialized numPartitions numFailed numMaterializing }
             assetMaterializations(limit: 1) { timestamp runId } }
           assetsLatestInfo(assetKeys: $keys) { latestRun { id status } } }""",
        {"keys": [{"path": [asset]} for asset in DAILY]},
    ),
    "runs": (
        """{ runsFeedOrError(limit: 30, view: ROOTS) { ... on RunsFeedConnection { results {
           __typename id runStatus creationTime tags { key value } } } } }""",
        {},
    ),
}


def main() -> bool:
    """Print the table of each size; whether nothing grows beyond the goals."""
    sizes = [1000, 5000] if os.environ.get("BENCH_FULL") else [1000]
    if "BENCH_DAYS" in os.environ:
        sizes = [int(os.environ["BENCH_DAYS"])]
    judged = [_judged(size) for size in sizes]
    return all(judged)


def _judged(size: int) -> bool:
    days = days_from(FIRST, size)
    with tempfile.TemporaryDirectory(prefix="movierec-growth-") as folder:
        print(f"{size} days; progress in {folder}/log", flush=True)
        ratings = Path(folder) / "warehouse" / "landing" / "ratings"
        ratings.mkdir(parents=True)
        for day in days:
            (ratings / f"{day}.csv").write_bytes(as_csv(ratings_of_day(day, **SIZE)))
        settings = {f"MOVIEREC_{name}": value for name, value in SETTINGS.items()}
        span = {"MOVIEREC_PARTITION_START": days[0], "MOVIEREC_PARTITION_END": days[-1]}
        blocks = json.loads(
            in_its_own(Path(folder), "bench.pipeline.growth", str(size), **settings, **span)
        )
    for block in blocks:
        print(" ".join(f"{name} {value:.4g}" for name, value in block.items()))
    # The first one has MLflow's and Dagster's tables to make. DuckDB's file alone grows by whole
    # blocks.
    early, last = blocks[min(1, len(blocks) - 1)], blocks[-1]
    for block in (early, last):
        block["bytes"] = sum(value for name, value in block.items() if name.startswith("KB"))
    ratios = {name: last[name] / max(early[name], 1e-9) for name in last if name != "days"}
    return all(
        [
            goal(
                f"growth, {size} days, CPU a day of the last block over an early one",
                ratios["CPU-s a day"],
                1.2,
            ),
            goal(
                f"growth, {size} days, CPU of a daily run over an early one",
                ratios["CPU-s a daily run"],
                1.2,
            ),
            goal(
                f"growth, {size} days, the slowest page of the UI in seconds",
                max(last[page] for page in PAGES),
                1,
            ),
            goal(
                f"growth, {size} days, bytes a day of the last block over an early one",
                ratios["bytes"],
                1.2,
            ),
        ]
    )


def blocks_of(size: int) -> list[dict[str, float]]:
    """Backfill block by block; of each: CPU and wall seconds a day, KB a day by store, seconds of
    each page.
    """
    days, blocks = days_from(FIRST, size), []
    before: dict[str, float] = {}
    with started() as platform:
        for start in range(0, size, BLOCK):
            block = days[start : start + BLOCK]
            cost = platform.backfill(block[0], block[-2], DAILY)
            daily = platform.runs(block[-1:], (RANGE_START, RANGE_END))
            now = {name: _size(path) for name, path in STORES.items()}
            blocks.append(
                {
                    "days": start + len(block),
                    "CPU-s a day": cost.cpu / (len(block) - 1),
                    "wall-s a day": cost.wall / (len(block) - 1),
                    "CPU-s a daily run": daily.cpu,
                    **{
                        f"KB {name}": (now[name] - before.get(name, 0)) / 1024 / len(block)
                        for name in now
                    },
                    **{page: _seconds(platform.api.url, *query) for page, query in PAGES.items()},
                }
            )
            before = now
            print(json.dumps(blocks[-1]), file=sys.stderr, flush=True)
    return blocks


STORES = {
    "DuckDB": "movierec.duckdb",
    "MLflow": "mlflow.db",
    "Dagster": "dagster",
    "bundles": "bundles",
    "twins": "twins",
}


def _size(store: str) -> float:
    path = Path("warehouse") / store
    return sum(
        file.stat().st_size
        for file in ([path] if path.is_file() else path.rglob("*"))
        if file.is_file()
    )


def _seconds(url: str, text: str, variables: dict[str, Any]) -> float:
    """The median time of five answers to a query of the UI."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        answer = httpx.post(
            f"{url}/graphql", json={"query": text, "variables": variables}, timeout=300
        ).json()
        times.append(time.perf_counter() - begun)
        if answer.get("errors"):
            raise RuntimeError(str(answer["errors"]))
    return statistics.median(times)


if __name__ == "__main__":
    print(json.dumps(blocks_of(int(sys.argv[1]))))
