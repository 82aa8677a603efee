"""From the landing zone to raw ratings and the catalogue."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import dagster as dg

from movierec_assets.defs.shared.days import Results, each_day
from movierec_assets.defs.shared.header import GROUP, OWNERS, POOL, STAGE, daily_asset
from movierec_assets.defs.shared.keys import COLLECTED_EVENTS
from movierec_assets.defs.shared.metadata import Metadata
from movierec_assets.defs.shared.refusals import refusals
from movierec_assets.defs.shared.sharing import share
from movierec_assets.errors import ChunkError, DeclarationError
from movierec_assets.ratings.catalogue import parse_movies
from movierec_assets.ratings.chunks import parse_chunk
from movierec_assets.ratings.declaration import PLAIN
from movierec_assets.ratings.ledger import DEFAULT_SOURCE, Chunk, by_source, held
from movierec_assets.resources.stores.chunk_archive import ChunkArchive
from movierec_assets.resources.stores.home_files import HomeFiles
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings
from movierec_serving.bundle.array_files import sha256_of

LATE_AFTER = timedelta(hours=36)  # a day's chunk is expected within half a day of the day's end


@daily_asset(
    deps=[COLLECTED_EVENTS],
    kinds={"duckdb"},
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=LATE_AFTER),
    check_specs=[
        dg.AssetCheckSpec(
            "chunks_readable",
            asset="raw_ratings",
            description="Every delivered file could be read. A failure names the days whose newest "
            "file could not, and why: nothing of it is trained on, and what was accepted for the "
            "day before stays. Deliver the day again.",
        )
    ],
)
def raw_ratings(
    context: dg.AssetExecutionContext,
    landing_zone: LandingZone,
    chunk_archive: ChunkArchive,
    home_files: dg.ResourceParam[HomeFiles],
    warehouse: Warehouse,
    settings: dg.ResourceParam[Settings],
) -> Results:
    """The day's chunks as delivered: archived by sha256, their records in DuckDB as text.

    Each source may deliver one, and each is accepted or refused by itself. A chunk that cannot be
    read is refused and named; what was current for the day stays. A day without a file fails with
    the path.
    """
    ledger = warehouse.chunks(context.partition_keys)
    limit = settings.max_chunk_mb << 20
    delivered: dict[str, dict[str, str]] = {}  # sha256 by source, by day

    def ingest(day: str) -> None:
        known = by_source(ledger.get(day, []))
        sources = landing_zone.sources_of(day) or [DEFAULT_SOURCE]  # which names the missing path
        for source in sources:
            try:
                path = landing_zone.find(day, source)
            except ChunkError as error:  # two files, a link out: no bytes of it are read
                context.log.error(f"{day} of {source} is refused: {error}")
                nameless = hashlib.sha256(str(error).encode()).hexdigest()
                delivered.setdefault(day, {})[source] = nameless
                warehouse.refuse_chunk(day, nameless, error.file, str(error), source)
                continue
            delivered.setdefault(day, {})[source] = sha256 = sha256_of(path)
            declared = None
            try:
                _check_size(path, limit)
                declared = landing_zone.declaration(source)
                meaning = None
                if declared is not None:
                    meaning = chunk_archive.store_declaration(source, declared)
                content = path.read_bytes()
                delivered[day][source] = sha256 = chunk_archive.store(day, content)
                name = path.relative_to(landing_zone.path).as_posix()
                chunk_archive.receipts.enter(day, sha256, name, meaning)
                mine = [chunk for chunk in held(known.get(source, [])) if chunk.sha256 == sha256]
                if any(chunk.declaration == meaning for chunk in mine):
                    if known[source][-1].sha256 != sha256:
                        warehouse.touch_chunk(day, sha256, source)  # after one that was refused
                    continue
                rows = parse_chunk(content, path.name, declared or PLAIN, limit=limit)
            except (ChunkError, DeclarationError) as error:
                context.log.error(f"{day} of {source} is refused: {error}")
                warehouse.refuse_chunk(day, sha256, path.name, str(error), source)
            else:
                warehouse.load_chunk(day, sha256, path.name, rows, source, meaning)

    def describe(days: list[str]) -> Mapping[str, Metadata]:
        chunks = warehouse.chunks(days)
        return {day: _metadata(chunks[day], delivered[day]) for day in days}

    def check() -> dg.AssetCheckResult:
        share(context, chunk_archive.share)
        share(context, home_files.share)
        return refusals(context, "chunks_readable", warehouse.refused(unreadable=True))

    yield from each_day(context, ingest, describe, checks=[check])


def _check_size(path: Path, limit: int) -> None:
    if (size := path.stat().st_size) > limit:
        raise ChunkError(
            path.name, f"{size:,} bytes, at most {limit:,} are read (MOVIEREC_MAX_CHUNK_MB)"
        )


def _metadata(chunks: list[Chunk], delivered: Mapping[str, str]) -> Metadata:
    ingested = [chunk for chunk in chunks if delivered.get(chunk.source) == chunk.sha256]
    current = [chunk.sha256 for chunk in chunks if chunk.current]
    return {
        "status": "; ".join(_status(chunk) for chunk in ingested),
        "dagster/row_count": sum(chunk.rows for chunk in ingested),
        "file": ", ".join(chunk.file for chunk in ingested),
        "sha256": ", ".join(chunk.sha256 for chunk in ingested),
        "current chunk": ", ".join(current) or "none",
        "chunks delivered": len(chunks),
    }


def _status(chunk: Chunk) -> str:
    if chunk.verdict is None:
        return f"{chunk.prefix}to be validated"
    return f"{chunk.prefix}current" if chunk.current else f"{chunk.prefix}refused: {chunk.reason}"


@dg.asset(group_name=GROUP, owners=OWNERS, kinds={"duckdb"}, tags={STAGE: "ingestion"}, pool=POOL)
def movies(
    context: dg.AssetExecutionContext,
    landing_zone: LandingZone,
    home_files: dg.ResourceParam[HomeFiles],
    warehouse: Warehouse,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The catalogue: id, title, year, genres of each movie, from the landing zone's movies.csv.

    One that is empty or lacks too many movies of the one before is refused: a torn export would
    take every title away.
    """
    path, content = landing_zone.read_movies()
    catalogue = parse_movies(content, path.name)
    exchange = warehouse.exchange(catalogue)
    if reason := exchange.refused(settings.max_gone_movies):
        raise dg.Failure(
            f"{path.name} is refused, the catalogue before stays: {reason}. If it is meant, set "
            "MOVIEREC_MAX_GONE_MOVIES=1 for one run",
            allow_retries=False,
        )
    warehouse.replace_movies(catalogue)
    share(context, home_files.share)
    unnamed = warehouse.rated_outside_catalogue()
    if unnamed:
        context.log.warning(f"{unnamed:,} movies that ratings name are not in {path.name}")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(catalogue),
            "movies before": exchange.before,
            "gone": exchange.gone,
            "rated, and not in the catalogue": unnamed,
        }
    )
