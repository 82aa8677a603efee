"""A day that is delivered again: what counts afterwards, in the tables and for training."""

from __future__ import annotations

import duckdb
import pytest

from movierec_assets.ratings.ledger import held, in_force
from movierec_assets.resources.warehouse.duckdb_file import MIGRATIONS
from tests.conftest import Platform
from tests.support.generate import as_csv, days_from, ratings_of_day

DAY, NEXT = days_from("1998-03-30", 2)
STAGES = ("raw_ratings", "validated_ratings")


def spoiled(count: int = 100, bad: int = 20, seed: int = 1) -> bytes:
    """A day of so many rows, of which so many have six stars."""
    rows = ratings_of_day(DAY, ratings=count, seed=seed)
    for row in rows[:bad]:
        row[2] = "6"
    return as_csv(rows)


@pytest.fixture
def accepted(platform: Platform) -> Platform:
    """A platform with one accepted day of 150 ratings."""
    platform.deliver(DAY, ratings=150)
    assert platform.run(DAY, None, *STAGES).success
    return platform


def counts(platform: Platform) -> dict[str, int]:
    tables = ("raw_ratings", "validated_ratings", "rejected_ratings", "superseded_ratings")
    return {table: platform.query(f"SELECT count(*) FROM {table}")[0][0] for table in tables}


@pytest.mark.parametrize("content", [spoiled(), b"user_id\n"], ids=["bad rows", "unreadable"])
def test_a_refused_redelivery_leaves_what_was_accepted(accepted: Platform, content: bytes) -> None:
    before = accepted.warehouse.partitions(DAY, None)
    accepted.landing_zone.deliver(DAY, content)
    result = accepted.run(DAY, None, *STAGES)
    good, refused = accepted.warehouse.chunks()[DAY]
    assert (good.current, good.verdict) == (True, "accepted")
    assert (refused.current, refused.verdict) == (False, "refused")
    assert accepted.warehouse.partitions(DAY, None) == before
    assert counts(accepted)["validated_ratings"] == 150
    assert len(accepted.warehouse.interactions(DAY, None)) == 150
    said = [one for one in result.get_asset_check_evaluations() if not one.passed]
    (reason,) = [str(one.metadata["refused"]) for one in said]
    assert f"the chunk accepted before, {good.sha256[:12]}, stays current" in reason
    told = accepted.events("validated_ratings")[-1].metadata
    assert told["verdict"].value == "accepted"
    assert "the newest chunk is refused" in told["reason"].value


def test_the_rows_of_a_refused_redelivery_are_kept_beside_with_their_reasons(
    accepted: Platform,
) -> None:
    accepted.landing_zone.deliver(DAY, spoiled())
    accepted.run(DAY, None, *STAGES)
    good, refused = accepted.warehouse.chunks()[DAY]
    rows = dict(accepted.query("SELECT sha256, count(*) FROM raw_ratings GROUP BY sha256"))
    assert rows == {good.sha256: 150, refused.sha256: 100}
    assert refused.rows == refused.validated + refused.rejected + refused.superseded == 100
    found = accepted.query("SELECT sha256, count(*) FROM rejected_ratings GROUP BY sha256")
    assert found == [(refused.sha256, 20)]
    assert counts(accepted)["superseded_ratings"] == 0
    accepted.deliver(DAY, ratings=120, seed=2)  # mended
    accepted.run(DAY, None, *STAGES)
    assert counts(accepted) == {
        "raw_ratings": 120,
        "validated_ratings": 120,
        "rejected_ratings": 0,
        "superseded_ratings": 0,
    }


def test_a_refused_day_has_no_validated_rows_for_readers(platform: Platform) -> None:
    platform.landing_zone.deliver(DAY, spoiled())
    platform.deliver(NEXT)
    platform.run(DAY, NEXT, *STAGES)
    assert platform.query("SELECT DISTINCT day::VARCHAR FROM validated_ratings") == [(NEXT,)]
    (chunk,) = in_force(platform.warehouse.chunks()[DAY])
    assert (chunk.validated, chunk.rejected, chunk.current) == (80, 20, False)


def test_what_was_accepted_counts_until_the_new_chunk_has_its_verdict(accepted: Platform) -> None:
    accepted.deliver(DAY, ratings=120, seed=2)
    accepted.run(DAY, None, "raw_ratings")
    assert counts(accepted)["validated_ratings"] == 150
    assert accepted.warehouse.days_without_verdict([DAY], DAY, None) == [DAY]
    accepted.run(DAY, None, "validated_ratings")
    assert counts(accepted)["validated_ratings"] == 120


def test_the_accepted_bytes_again_let_go_of_the_refused_rows(accepted: Platform) -> None:
    for content in (spoiled(), as_csv(ratings_of_day(DAY, ratings=150))):
        accepted.landing_zone.deliver(DAY, content)
        result = accepted.run(DAY, None, *STAGES)
    assert all(one.passed for one in result.get_asset_check_evaluations())
    assert counts(accepted)["raw_ratings"] == counts(accepted)["validated_ratings"] == 150
    assert len(held(accepted.warehouse.chunks()[DAY])) == 1


def test_the_same_refused_bytes_again_are_not_judged_again(accepted: Platform) -> None:
    accepted.landing_zone.deliver(DAY, spoiled())
    accepted.run(DAY, None, *STAGES)
    before = accepted.query("SELECT * FROM chunks ORDER BY sha256")
    accepted.run(DAY, None, *STAGES)
    assert accepted.query("SELECT * FROM chunks ORDER BY sha256") == before


def test_an_archived_chunk_that_was_altered_is_put_right_by_the_same_bytes(
    accepted: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    (chunk,) = accepted.warehouse.chunks()[DAY]
    archived = accepted.chunk_archive.file(DAY, chunk.sha256)
    content = archived.read_bytes()
    archived.unlink()
    archived.write_bytes(content[:-2] + b"9\n")
    assert accepted.run(DAY, None, "raw_ratings").success
    assert accepted.chunk_archive.read(DAY, chunk.sha256) == content
    assert "the archived chunk was changed; it is put right" in caplog.text


def test_files_outside_the_partitions_stop_no_training(platform: Platform) -> None:
    platform.deliver(DAY)
    for day in ("1970-01-01", "1997-09-19", "2100-01-01"):
        platform.landing_zone.deliver(day, as_csv(ratings_of_day(day, ratings=5)))
    assert platform.run(DAY, None, *STAGES, "als_model").success


def test_a_warehouse_of_the_version_before_keeps_what_was_accepted(platform: Platform) -> None:
    """Its refused chunk was current, with its rows in the tables."""
    platform.root.mkdir(exist_ok=True)
    with duckdb.connect(platform.warehouse.path) as connection:
        connection.execute("CREATE TABLE migrations (number INTEGER PRIMARY KEY, name VARCHAR)")
        for file in sorted(MIGRATIONS.glob("000[1-4]*.sql")):
            connection.execute(file.read_text())
            connection.execute("INSERT INTO migrations VALUES (?, '')", [int(file.name[:4])])
        for day, verdict in ((DAY, "accepted"), (NEXT, "refused")):
            connection.execute(
                """INSERT INTO chunks BY NAME SELECT CAST(? AS DATE) AS day, 'a' AS sha256,
                   'f' AS file, TIMESTAMP '1998-04-01' AS received_at, true AS current,
                   ? AS verdict, '1' AS schema_version, 2 AS rows, 1 AS validated, 1 AS rejected""",
                [day, verdict],
            )
            row = [day, 1, "u", "m", 4]
            connection.execute(
                "INSERT INTO validated_ratings VALUES (?, ?, ?, ?, ?, TIMESTAMP '1998-03-30')", row
            )
            for record in (1, 2):
                raw = [day, record, "f", "u", "m", "4", "9"]
                connection.execute("INSERT INTO raw_ratings VALUES (?, ?, ?, ?, ?, ?, ?)", raw)
            connection.execute(
                "INSERT INTO rejected_ratings VALUES (?, 2, 'u', 'm', '6', '9', ['r'])", [day]
            )
    assert platform.warehouse.partitions(NEXT, None) == [(DAY, "a/1")]
    assert counts(platform) == {
        "raw_ratings": 4,
        "validated_ratings": 1,
        "rejected_ratings": 2,
        "superseded_ratings": 0,
    }
    (refused,) = platform.warehouse.chunks()[NEXT]
    assert (refused.current, refused.verdict, refused.unreadable) == (False, "refused", False)
