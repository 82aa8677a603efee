"""From the landing zone to raw ratings and the catalogue."""

from collections.abc import Mapping
from datetime import timedelta

import dagster as dg

from movierec_assets.defs.shared.days import Results, each_day
from movierec_assets.defs.shared.header import GROUP, OWNERS, POOL, daily_asset
from movierec_assets.defs.shared.metadata import Metadata
from movierec_assets.defs.shared.refusals import refusals
from movierec_assets.errors import ChunkError
from movierec_assets.ratings.chunks import parse_chunk, parse_movies
from movierec_assets.ratings.ledger import Chunk, held
from movierec_assets.resources.stores.chunk_archive import ChunkArchive
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.resources.warehouse.warehouse import Warehouse

LATE_AFTER = timedelta(hours=36)  # a day's chunk is expected within half a day of the day's end


@daily_asset(
    deps=[],
    kinds={"duckdb"},
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=LATE_AFTER),
    check_specs=[
        dg.AssetCheckSpec(
            "chunks_readable", asset="raw_ratings", description="no chunk was refused"
        )
    ],
)
def raw_ratings(
    context: dg.AssetExecutionContext,
    landing_zone: LandingZone,
    chunk_archive: ChunkArchive,
    warehouse: Warehouse,
) -> Results:
    """The day's chunk as delivered: archived by its sha256, its records in DuckDB as text.

    A chunk that cannot be read is refused and named; what was current for the day stays. A day
    without a file fails with the path.
    """
    ledger = warehouse.chunks(context.partition_keys)
    delivered: dict[str, str] = {}

    def ingest(day: str) -> None:
        path, content = landing_zone.read(day)
        delivered[day] = digest = chunk_archive.store(day, content)
        name = path.relative_to(landing_zone.path).as_posix()
        chunk_archive.receipts.enter(day, digest, name)
        known = ledger.get(day, [])
        if any(one.sha256 == digest for one in held(known)):
            if known[-1].sha256 != digest:  # the good file again, after one that was refused
                warehouse.touch_chunk(day, digest)
            return
        try:
            rows = parse_chunk(content, path.name)
        except ChunkError as error:
            context.log.error(f"{day} is refused: {error}")
            warehouse.refuse_chunk(day, digest, path.name, str(error))
        else:
            warehouse.load_chunk(day, digest, path.name, rows)

    def describe(days: list[str]) -> Mapping[str, Metadata]:
        chunks = warehouse.chunks(days)
        return {day: _metadata(chunks[day], delivered[day]) for day in days}

    def check() -> dg.AssetCheckResult:
        return refusals(
            "chunks_readable", warehouse.refused(unreadable=True), context.partition_keys
        )

    yield from each_day(context, ingest, describe, check=check)


def _metadata(chunks: list[Chunk], delivered: str) -> Metadata:
    chunk = next(one for one in chunks if one.sha256 == delivered)
    return {
        "dagster/row_count": chunk.rows,
        "file": chunk.file,
        "sha256": chunk.sha256,
        "status": _status(chunk),
        "current chunk": next((one.sha256 for one in chunks if one.current), "none"),
        "chunks delivered": len(chunks),
    }


def _status(chunk: Chunk) -> str:
    if chunk.verdict is None:
        return "to be validated"
    return "current" if chunk.current else f"refused: {chunk.reason}"


@dg.asset(group_name=GROUP, owners=OWNERS, kinds={"duckdb"}, pool=POOL)
def movies(landing_zone: LandingZone, warehouse: Warehouse) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The catalogue: id, title, year, genres of each movie, from the landing zone's movies.csv."""
    path, content = landing_zone.read_movies()
    catalogue = parse_movies(content, path.name)
    warehouse.replace_movies(catalogue)
    return dg.MaterializeResult(metadata={"dagster/row_count": len(catalogue)})
