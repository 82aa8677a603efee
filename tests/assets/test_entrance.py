"""Every layout and fault of `docs/entrance.toml`, delivered to the product: what becomes of it."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from rich.console import Console

from docs.generated.entrance import cases, part_of
from movierec_assets.cli.fetch import fetch
from movierec_assets.errors import MovierecError
from movierec_assets.maintenance.survey import ignored
from movierec_assets.ratings.catalogue import parse_movies
from movierec_assets.ratings.ledger import Chunk
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.settings import settings
from tests.conftest import Platform, empty_home, settle

DAY = "1998-03-30"
STAGES = ("raw_ratings", "validated_ratings")
CASES = cases()


def slug(case: Mapping[str, Any]) -> str:
    return re.sub("[^a-z0-9]+", "-", case["what"].lower()).strip("-")[:60]


def of(*parts: str) -> list[Any]:
    return [pytest.param(case, id=slug(case)) for case in CASES if part_of(case) in parts]


# -- how contents are written ----------------------------------------------------------------------


def parquet(text: bytes) -> bytes:
    out = io.BytesIO()
    pd.read_csv(io.BytesIO(text)).to_parquet(out)
    return out.getvalue()


def workbook(_: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    return out.getvalue()


def large(text: bytes) -> bytes:
    return text + text.splitlines(keepends=True)[-1] * 70_000


WRITTEN: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "torn gzip": lambda text: gzip.compress(text)[:-4],
    "nested JSON": lambda _: b"[" * 100_000 + b"\n",
    "latin-1": lambda text: text.decode().encode("latin-1"),
    "utf-8-sig": lambda text: text.decode().encode("utf-8-sig"),
    "utf-16": lambda text: text.decode().encode("utf-16"),
    "parquet": parquet,
    "xlsx": workbook,
    "over-size": large,
    "over-size, packed": lambda text: gzip.compress(large(text)),
}


def bytes_of(text: str, case: Mapping[str, Any]) -> bytes:
    return WRITTEN.get(case.get("as", ""), bytes)(text.encode())


# -- data sets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", of("files"))
def test_a_data_set_is_read_or_named(case: Mapping[str, Any], tmp_path: Path) -> None:
    source, landing = tmp_path / "data", LandingZone(path=str(tmp_path / "landing"))
    for name, text in case["files"].items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(bytes_of(text, case))
    named = case.get("format")
    path = source / next(iter(case["files"])) if named else source
    try:
        fetch(None, path, landing, tmp_path, console=Console(quiet=True), format_name=named)
        (day,) = landing.days()
        movies = landing.movies_path() and landing.read_movies()[1].decode().splitlines()[1:]
        found = f"{day}: {' '.join(landing.read(day)[1].decode().splitlines()[1:])}"
        found += f"; {' '.join(movies)}" if movies else ""
    except MovierecError as error:
        found = f"refused: {error}"
    assert found == case["becomes"]


# -- days ------------------------------------------------------------------------------------------


def deliver(platform: Platform, case: Mapping[str, Any], text: str) -> None:
    """Put a case's file into the folder of a source of its own."""
    folder = platform.root / "landing" / slug(case)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / case.get("file", f"{DAY}.csv")
    content = bytes_of(text, case)
    match case.get("as"):
        case "link":
            outside = platform.home / "outside.csv"
            outside.write_bytes(content)
            file.symlink_to(outside)
        case "twice":
            file.with_suffix(".csv.gz").write_bytes(gzip.compress(content))
            file.write_bytes(content)
        case _:
            file.write_bytes(content)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """All cases of days, each from a source of its own, in two runs; then the folder is left."""
    home = empty_home(tmp_path_factory.mktemp("entrance") / "a home")
    mine = [case for case in CASES if part_of(case) in ("content", "again")]
    with pytest.MonkeyPatch.context() as monkeypatch:
        settle(home, monkeypatch)
        monkeypatch.setenv("MOVIEREC_MAX_REJECTED_SHARE", "0.5")
        monkeypatch.setenv("MOVIEREC_MAX_CHUNK_MB", "1")
        settings.cache_clear()
        with dg.DagsterInstance.get() as instance:
            platform = Platform(home, instance)
            (platform.root / "sources").mkdir()
            for case in mine:
                declared = platform.root / "sources" / f"{slug(case)}.toml"
                declared.write_text(case.get("source", ""))
                deliver(platform, case, case["content"])
            assert platform.run(DAY, None, *STAGES).success
            for case in mine:
                if "again" in case:
                    if case.get("as") == "altered":
                        (chunk,) = chunks_of(platform, case)
                        platform.chunk_archive.file(DAY, chunk.sha256).write_bytes(b"altered")
                    deliver(platform, case, case["again"])
            assert platform.run(DAY, None, *STAGES).success
            yield platform
    settings.cache_clear()


def chunks_of(platform: Platform, case: Mapping[str, Any]) -> list[Chunk]:
    return [one for one in platform.warehouse.chunks()[DAY] if one.source == slug(case)]


def said_of(platform: Platform, case: Mapping[str, Any]) -> Iterator[str]:
    """What the ledger and the tables say of a case, the newest chunk first."""
    for chunk in reversed(chunks_of(platform, case)):
        if chunk.verdict == "refused":
            yield f"refused: {chunk.reason}"
        elif chunk.current:
            rows = platform.query(
                f"""SELECT user_id || '/' || movie_id || ' ' || rating FROM validated_ratings
                    WHERE source = '{slug(case)}' ORDER BY record"""
            )
            yield (
                f"accepted, {chunk.validated} of {chunk.rows} rows"
                + ": " * bool(rows)
                + ", ".join(row for (row,) in rows)
            )
            yield from counted(platform, case, chunk)


def counted(platform: Platform, case: Mapping[str, Any], chunk: Chunk) -> Iterator[str]:
    reasons = platform.query(
        f"""SELECT array_to_string(reasons, ', ') FROM rejected_ratings
            WHERE source = '{slug(case)}' AND sha256 = '{chunk.sha256}' ORDER BY record"""
    )
    yield from (f"rejected: {reason}" for (reason,) in reasons)
    yield from (f"{kind} mended" for kind in chunk.mended)
    if chunk.superseded:
        yield f"superseded: {chunk.superseded}"
    if chunk.late:
        yield f"late: {chunk.late}"


@pytest.mark.parametrize("case", of("content", "again"))
def test_a_days_file_is_read_or_named(case: Mapping[str, Any], day: Platform) -> None:
    found = "; ".join(said_of(day, case))
    assert found == case["becomes"]
    for chunk in chunks_of(day, case):
        assert chunk.rows == chunk.validated + chunk.rejected + chunk.superseded
        if chunk.current:
            assert day.chunk_archive.read(DAY, chunk.sha256)


# -- names and catalogues --------------------------------------------------------------------------


@pytest.mark.parametrize("case", of("names"))
def test_a_name_that_is_not_read_is_listed(
    case: Mapping[str, Any], home: Path, tmp_path: Path
) -> None:
    landing = LandingZone(path=str(home / "warehouse" / "landing"))
    for name in case["names"]:
        file = Path(landing.path) / name
        file.parent.mkdir(parents=True)
        file.touch()
    (said,) = ignored(landing)
    assert said.replace(str(home), "HOME") == case["becomes"]


@pytest.mark.parametrize("case", of("movies"))
def test_a_catalogue_is_read_or_named(case: Mapping[str, Any], platform: Platform) -> None:
    found = ""
    for text in case["movies"]:
        try:
            movies = parse_movies(text.encode(), "movies.csv")
        except MovierecError as error:
            found = f"refused: {error}"
            continue
        reason = platform.warehouse.exchange(movies).refused(settings().max_gone_movies)
        if reason:
            found = f"refused, the one before stays: {reason}"
            continue
        platform.warehouse.replace_movies(movies)
        rows = platform.query("SELECT movie_id, title, array_to_string(genres, '|') FROM movies")
        found = f"{len(rows)} read: " + ", ".join(" ".join(row).rstrip() for row in rows)
    assert found == case["becomes"]
