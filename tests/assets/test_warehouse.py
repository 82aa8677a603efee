"""The DuckDB file: migrations, crashes in the middle of a transaction, other processes that hold
it.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from movierec_assets.errors import NewerWarehouseError
from movierec_assets.ratings.catalogue import parse_movies
from movierec_assets.ratings.chunks import parse_chunk
from movierec_assets.ratings.interactions import Interactions, interactions_of
from movierec_assets.ratings.ledger import Judgement
from movierec_assets.ratings.validation import validate_chunk
from movierec_assets.resources.warehouse.duckdb_file import MIGRATIONS
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_serving.bundle import Movie
from tests.conftest import ROOT
from tests.support.generate import as_csv, ratings_of_day
from tests.support.processes import started

DAY = "1998-04-01"


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(path=str(tmp_path / "of its own" / "movierec.duckdb"))


def load(warehouse: Warehouse, sha256: str, ratings: int) -> None:
    """Make so many rows the day's, from a chunk of this name that is accepted; as one unit."""
    rows = parse_chunk(as_csv(ratings_of_day(DAY, ratings=ratings)), f"{DAY}.csv")
    with warehouse.connect():
        warehouse.load_chunk(DAY, sha256, f"{DAY}.csv", rows)
        (chunk,) = [one for one in warehouse.chunks()[DAY] if one.sha256 == sha256]
        warehouse.judge(chunk, accept)


def accept(raw: pd.DataFrame) -> Judgement:
    outcome = validate_chunk(raw, date.fromisoformat(DAY))
    return Judgement(outcome, "accepted", None, 0.05, "of a test")


def rows(warehouse: Warehouse, table: str = "raw_ratings") -> int:
    with warehouse.connect(read_only=True) as connection:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0]
    return int(count)


def holding(warehouse: Warehouse, code: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """A process that runs `code` on an open connection to the file and then waits for a line."""
    return started(
        f"import duckdb, sys; c = duckdb.connect({warehouse.path!r}); {code}; "
        "print('ready', flush=True); sys.stdin.readline()"
    )


def test_an_older_file_is_migrated_and_keeps_its_rows(warehouse: Warehouse) -> None:
    Path(warehouse.path).parent.mkdir()
    with duckdb.connect(warehouse.path) as connection:
        connection.execute(
            "CREATE TABLE migrations (number INTEGER PRIMARY KEY, name VARCHAR NOT NULL)"
        )
        connection.execute((MIGRATIONS / "0001_ledger.sql").read_text())
        connection.execute("INSERT INTO migrations VALUES (1, '0001_ledger')")
        connection.execute("INSERT INTO movies VALUES ('m1', 'Amélie', 2001, ['Comedy'])")
    assert warehouse.models() == {}  # even a reader migrates
    assert warehouse.movies() == [("m1", "Amélie", ["Comedy"])]
    assert warehouse.catalogue() == {"m1": Movie("m1", "Amélie", ("Comedy",), 2001)}
    with warehouse.connect(read_only=True) as connection:
        found = connection.execute("SELECT name FROM migrations ORDER BY number").fetchall()
    assert [name for (name,) in found] == sorted(file.stem for file in MIGRATIONS.glob("*.sql"))


@pytest.mark.parametrize("read_only", [True, False])
def test_a_newer_file_is_refused_and_not_touched(warehouse: Warehouse, read_only: bool) -> None:
    load(warehouse, "a", 10)
    with warehouse.connect() as connection:
        connection.execute("INSERT INTO migrations VALUES (9999, 'from the future')")
    before = Path(warehouse.path).read_bytes()
    with (
        pytest.raises(NewerWarehouseError, match="schema 9999"),
        warehouse.connect(read_only=read_only),
    ):
        pass
    assert Path(warehouse.path).read_bytes() == before


def test_an_error_rolls_everything_back(warehouse: Warehouse) -> None:
    load(warehouse, "a", 10)

    class FullDiskError(OSError): ...

    def fill() -> None:
        with warehouse.connect() as connection:
            connection.execute("DELETE FROM raw_ratings")
            raise FullDiskError

    with pytest.raises(FullDiskError):
        fill()
    assert rows(warehouse) == 10


def test_a_unit_that_failed_leaves_nothing_to_the_next(warehouse: Warehouse) -> None:
    def failing() -> None:
        with warehouse.connect() as connection:
            connection.execute("CREATE TEMP TABLE mine AS SELECT 1")
            connection.create_function("mine", lambda text: text, ["VARCHAR"], "VARCHAR")
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            failing()
    with warehouse.connect() as connection:
        assert not connection.execute("SELECT * FROM duckdb_tables() WHERE temporary").fetchall()


def test_units_of_threads_wait_for_each_other(warehouse: Warehouse) -> None:
    def add(number: int) -> int:
        with warehouse.connect() as connection:
            connection.execute(
                "INSERT INTO movies BY NAME SELECT ? AS movie_id, 'T' AS title, [] AS genres",
                [str(number)],
            )
        return len(warehouse.movies())

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(add, range(12))) == 12


ENDING = """
import atexit, sys
atexit.register(lambda: print(sum(map(len, attached._idle.values()))))  # the last to be asked
from movierec_assets.resources.warehouse import attached
from movierec_assets.resources.warehouse.warehouse import Warehouse
Warehouse(path=sys.argv[1]).movies()
"""


def test_what_does_not_fit_into_memory_goes_beside_the_file(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        told = connection.execute("SELECT current_setting('temp_directory')").fetchall()
    assert told == [(f"{warehouse.path}.tmp",)]


def test_no_instance_is_left_when_python_ends(warehouse: Warehouse) -> None:
    """DuckDB calls it a leak, on the console."""
    command = [sys.executable, "-c", ENDING, warehouse.path]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_kill_in_the_middle_of_a_transaction_leaves_the_old_rows(warehouse: Warehouse) -> None:
    load(warehouse, "a", 100)
    with holding(warehouse, "c.begin(); c.execute('DELETE FROM raw_ratings')") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert rows(warehouse) == 100
    load(warehouse, "b", 20)
    assert rows(warehouse) == 20
    assert [(one.sha256, one.current) for one in warehouse.chunks()[DAY]] == [
        ("a", False),
        ("b", True),
    ]


def test_a_writer_waits_for_a_shell_that_holds_the_file_and_names_it(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    load(warehouse, "a", 10)
    named = threading.Event()

    class Named(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            named.set()

    logger, handler = logging.getLogger("movierec_assets.resources.warehouse.duckdb_file"), Named()
    logger.addHandler(handler)
    try:
        with holding(warehouse, "pass") as shell:
            writer = threading.Thread(target=load, args=(warehouse, "b", 20))
            writer.start()
            assert named.wait(60)
            assert shell.stdin is not None
            shell.stdin.write("exit\n")
            shell.stdin.flush()
            writer.join(60)
            assert not writer.is_alive()
            assert f"PID {shell.pid}" in caplog.text
    finally:
        logger.removeHandler(handler)
    assert rows(warehouse) == 20


WRITE = """
from movierec_assets.resources.warehouse.warehouse import Warehouse
from tests.assets.test_warehouse import load
import sys
for nth in range(10):
    load(Warehouse(path=sys.argv[1]), f"{sys.argv[2]}-{nth}", 10 + nth)
"""


def test_writers_in_two_processes_do_not_disturb_each_other(warehouse: Warehouse) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, warehouse.path, name], env=environment)
        for name in "ab"
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    chunks = warehouse.chunks()[DAY]
    assert len(chunks) == 20
    (current,) = [one for one in chunks if one.current]
    assert current.rows == rows(warehouse) == 19


def test_of_each_user_and_movie_the_last_rating_by_time_then_delivery_is_trained_on(
    warehouse: Warehouse,
) -> None:
    random, count = np.random.default_rng(0), 600
    days = ["1998-04-01", "1998-04-02", "1998-04-03"]
    given = pd.DataFrame(
        {
            "day": random.choice(days, count),
            "record": random.permutation(count),
            "user_id": random.choice(["u1", "u10", "u9", "é", "z"], count),
            "movie_id": random.choice([f"m{n}" for n in range(20)], count),
            "rating": random.choice([1.0, 2.5, 5.0], count).astype(np.float32),
            "rated_at": random.integers(891_000_000, 891_000_004, count),
        }
    )
    with warehouse.connect() as connection:
        connection.execute(
            """INSERT INTO validated_ratings BY NAME
               SELECT * REPLACE (CAST(day AS DATE) AS day, make_timestamp(rated_at * 1000000) AS
                 rated_at) FROM given"""
        )
        for day, verdict in zip(days, ("accepted", "accepted", "refused"), strict=True):
            entry = [day, "0", "f", "1998-04-04", True, verdict, 1]
            columns = "(day, sha256, file, received_at, current, verdict, rows)"
            connection.execute(f"INSERT INTO chunks {columns} VALUES (?, ?, ?, ?, ?, ?, ?)", entry)
    accepted = given[given["day"] < days[2]]
    in_order = accepted.sort_values(["rated_at", "day", "record"])
    last = {
        (one.user_id, one.movie_id): (one.rating, one.rated_at) for one in in_order.itertuples()
    }
    for found in (warehouse.interactions(days[2], None), interactions_of(accepted)):
        assert as_rows(found) == [(*pair, *last[pair]) for pair in sorted(last)]
        assert found.user_ids == ("u1", "u10", "u9", "z", "é")


def as_rows(data: Interactions) -> list[tuple[str, str, float, int]]:
    rows = zip(data.users, data.movies, data.ratings.tolist(), data.rated_at.tolist(), strict=True)
    return [(data.user_ids[user], data.movie_ids[movie], *values) for user, movie, *values in rows]


def test_the_catalogue_is_published_with_its_days_and_further_columns(
    warehouse: Warehouse,
) -> None:
    delivered = parse_movies(
        b"movie_id,title,year,genres,available_from,available_until,country\n"
        b"1,A,1990,Drama|Horror,2026-01-05,,FR\n2,B,,,,2026-02-01,\n",
        "movies.csv",
    )
    warehouse.replace_movies(delivered)
    assert warehouse.catalogue() == {
        "1": Movie("1", "A", ("Drama", "Horror"), 1990, "2026-01-05", None, {"country": "FR"}),
        "2": Movie("2", "B", (), None, None, "2026-02-01", {"country": ""}),
    }


def test_the_table_of_what_is_served_takes_lists_in_parts_all_or_none(warehouse: Warehouse) -> None:
    def parts(*users: str) -> Iterator[pd.DataFrame]:
        for user in users:
            if user == "torn":
                raise OSError("the disk is gone")
            yield pd.DataFrame({"user_id": [user], "rank": 1, "movie_id": "7", "score": 0.5})

    assert warehouse.replace_served(1, parts("1", "2")) == 2
    with pytest.raises(OSError, match="the disk is gone"):
        warehouse.replace_served(2, parts("3", "torn"))
    with warehouse.connect(read_only=True) as connection:
        table = connection.execute("SELECT version, user_id FROM served_model ORDER BY 2")
        assert table.fetchall() == [(1, "1"), (1, "2")]
