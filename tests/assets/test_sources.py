"""Several sources of one day, each with its own meaning, ledger and verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from movierec_assets.cli.app import app
from movierec_assets.cli.verify import verify
from movierec_assets.maintenance.erasure import rewrite_chunks
from movierec_assets.maintenance.journal import Journal
from movierec_assets.ratings.declaration import digest, parse_declaration
from movierec_assets.resources.stores.chunk_archive import ChunkArchive
from movierec_assets.settings import settings
from tests.conftest import Platform
from tests.support.generate import as_csv, day_start, days_from, ratings_of_day

DAY, NEXT = days_from("1998-03-30", 2)
STAGES = ("raw_ratings", "validated_ratings")
SHOP = """
separator = ";"
decimal = ","
columns = { user_id = "customer", movie_id = "film", rating = "grade", timestamp = "at" }
scale = { kind = "range", low = 1, high = 10 }
time = { format = "%Y-%m-%d %H:%M:%S", zone = "UTC" }
"""


def declare(platform: Platform, toml: str, source: str = "shop") -> None:
    folder = platform.root / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{source}.toml").write_text(toml)


def shop(day: str, count: int = 20, grade: str = "8,0") -> bytes:
    at = datetime.fromtimestamp(day_start(day) + 3600, UTC).strftime("%Y-%m-%d %H:%M:%S")
    rows = "".join(f"{at};{grade};m{nth};c{nth % 5}\n" for nth in range(count))
    return f"at;grade;film;customer\n{rows}".encode()


@pytest.fixture
def two(platform: Platform) -> Platform:
    """A day of 100 ratings of the default source, and 20 of the shop."""
    declare(platform, SHOP)
    platform.deliver(DAY, ratings=100)
    platform.landing_zone.deliver(DAY, shop(DAY), "shop")
    assert platform.run(DAY, None, *STAGES).success
    return platform


def test_each_source_has_its_chunk_rows_and_data_version(two: Platform) -> None:
    ratings, bought = sorted(two.warehouse.chunks()[DAY], key=lambda one: one.source)
    for chunk, rows in ((ratings, 100), (bought, 20)):
        assert (chunk.current, chunk.rows) == (True, rows)
        assert chunk.rows == chunk.validated + chunk.rejected + chunk.superseded
        assert two.chunk_archive.read(DAY, chunk.sha256)
    assert two.warehouse.days_accepted() == [DAY]  # which production is one day behind
    declared = digest(parse_declaration(SHOP.encode(), "shop.toml"))
    assert two.warehouse.partitions(DAY, None) == [
        (DAY, f"{ratings.sha256}/1"),
        (DAY, f"{bought.sha256}/1/shop/{declared}"),
    ]
    assert two.query("SELECT DISTINCT rating FROM validated_ratings WHERE source = 'shop'") == [
        (4.0,)
    ]
    users = two.warehouse.interactions(DAY, None).user_ids
    assert {"c0", "u1"} <= set(users)
    event = two.events("validated_ratings")[-1]
    assert event.metadata["raw"].value == 120


def test_a_refused_source_takes_no_other_sources_rows_out(two: Platform) -> None:
    two.deliver(NEXT, ratings=100)
    two.landing_zone.deliver(NEXT, shop(NEXT, grade="11"), "shop")
    assert two.run(NEXT, None, *STAGES).success
    assert [day for day, _ in two.warehouse.partitions(NEXT, 1)] == [NEXT]
    assert two.warehouse.refused(unreadable=False)[NEXT].startswith("shop: 20 of 20 rows")
    two.landing_zone.deliver(NEXT, b"at;grade\n", "shop")
    assert two.run(NEXT, None, *STAGES).success
    assert "missing 'customer', 'film'" in two.warehouse.refused(unreadable=True)[NEXT]


def test_a_changed_declaration_judges_the_same_bytes_anew(two: Platform) -> None:
    before = two.warehouse.partitions(DAY, None)
    fingerprints = two.landing_zone.fingerprints()
    declare(two, SHOP.replace("high = 10", "high = 20"))
    assert two.landing_zone.fingerprints() != fingerprints
    assert two.run(DAY, None, *STAGES).success
    assert two.query("SELECT DISTINCT rating FROM validated_ratings WHERE source = 'shop'") == [
        (2.0,)
    ]
    after = two.warehouse.partitions(DAY, None)
    assert (before[0], len(after)) == (after[0], 2)
    assert before[1] != after[1]


def test_what_was_archived_is_read_as_its_source_declared_it_then(
    two: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shop writes otherwise now: a lost ledger and an erasure go by what was declared."""
    monkeypatch.setenv("MOVIEREC_RELOAD_TOKEN", "a token")
    settings.cache_clear()
    rows = two.query("SELECT * FROM validated_ratings ORDER BY ALL")
    partitions = two.warehouse.partitions(DAY, None)
    declare(two, SHOP.replace("customer", "buyer").replace('separator = ";"', 'separator = ","'))
    (two.root / "movierec.duckdb").unlink()
    done = CliRunner().invoke(app, ["recover", "--apply"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert two.query("SELECT * FROM validated_ratings ORDER BY ALL") == rows
    assert two.warehouse.partitions(DAY, None) == partitions
    rewrite_chunks(two.wired, Journal("c0", "asked", "2026-01-01"))
    (receipt,) = (one for one in two.chunk_archive.receipts.all() if "shop" in one.path)
    assert two.chunk_archive.read(DAY, receipt.sha256).count(b"\n") == 17  # 4 of 20 were theirs
    assert receipt.declaration == partitions[1][1].split("/")[-1]


def test_a_wrong_declaration_refuses_its_source_alone(two: Platform) -> None:
    declare(two, "separator = 7")
    two.deliver(NEXT)
    two.landing_zone.deliver(NEXT, shop(NEXT), "shop")
    assert two.run(NEXT, None, *STAGES).success
    assert "shop.toml: separator" in two.warehouse.refused(unreadable=True)[NEXT]
    assert [day for day, _ in two.warehouse.partitions(NEXT, 1)] == [NEXT]


def test_a_receipt_that_does_not_say_how_its_chunk_was_read_says_so_of_what_is_left(
    tmp_path: Path,
) -> None:
    """An erasure writes it again for the rest of the chunk, which is read as today then, too."""
    archive = ChunkArchive(path=str(tmp_path))
    whole, rest = (archive.store(DAY, content) for content in (b"whole", b"rest"))
    said = '{"path": "shop/1998-03-30.csv", "received_at": "1998-03-31T00:00:00+00:00"}'
    archive.file(DAY, whole).with_suffix(".json").write_text(said)
    old = next(one for one in archive.receipts.all() if one.sha256 == whole)
    assert not old.declared
    archive.receipts.write(replace(old, sha256=rest))
    assert replace(old, sha256=rest) in archive.receipts.all()


def test_a_folder_that_is_not_declared_is_named_and_not_read(platform: Platform) -> None:
    platform.deliver(DAY)
    platform.landing_zone.deliver(DAY, shop(DAY), "shop")
    (line,) = platform.landing_zone.odd_names()
    assert line.startswith("shop/ is not read, no source declares it: expected ")
    assert platform.landing_zone.sources_of(DAY) == ["ratings"]


def test_a_file_over_the_limit_is_refused_before_it_is_read(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_MAX_CHUNK_MB", "1")
    settings.cache_clear()
    platform.deliver(DAY)
    large = as_csv(ratings_of_day(NEXT, ratings=10)) + b"u,m,4,9\n" * 150_000
    platform.landing_zone.deliver(NEXT, large)
    assert platform.run(DAY, NEXT, *STAGES).success
    assert "at most 1,048,576 are read" in platform.warehouse.refused(unreadable=True)[NEXT]
    assert not (platform.root / "chunks" / NEXT).exists()


def test_a_model_of_two_sources_is_rebuilt_bit_by_bit(two: Platform) -> None:
    # The same user, movie and second in both: the order of sources decides, here and there.
    at = day_start(NEXT) + 3600
    two.deliver(NEXT)
    rows = [["c0", "m0", "1", str(at)], *ratings_of_day(NEXT)]
    two.landing_zone.deliver(NEXT, as_csv(rows))
    two.landing_zone.deliver(NEXT, shop(NEXT), "shop")
    assert two.run(DAY, NEXT).success
    newest = two.model_registry.versions()[-1]
    assert all(rebuilt.identical for rebuilt in verify(settings(), newest.number))
