"""Accepted ratings as Parquet in an object store that fails, lies or is cut off: what a reader
finds there is what the warehouse has.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from movierec_assets.resources.stores.shared_chunks import SharedChunks
from movierec_assets.resources.stores.shared_ratings import INDEX, SharedRatings
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import settings
from movierec_serving.bundle import StoreError
from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.bundle.objects import TIMEOUT
from tests.conftest import ROOT, Platform
from tests.support.bucket import LONG, Bucket, Fault
from tests.support.generate import days_from
from tests.support.homes import Home, opened

PARQUET = "ratings.parquet$"
ROWS = (
    "SELECT user_id, movie_id, rating, rated_at, day, source, strftime(day, '%Y-%m') AS month "
    "FROM validated_ratings ORDER BY ALL"
)


@pytest.fixture
def warehouse(whole: Home, tmp_path: Path) -> Warehouse:
    """Four days in two months."""
    folder = tmp_path / "warehouse"
    folder.mkdir()
    shutil.copy(whole.folder / "warehouse" / "movierec.duckdb", folder)
    return Warehouse(path=str(folder / "movierec.duckdb"))


def sender(url: str, warehouse: Warehouse, timeout: float = TIMEOUT) -> SharedRatings:
    chunks = SharedChunks(ObjectStore(url, timeout), Path(warehouse.path).parent / "chunks")
    chunks.send()
    return SharedRatings(warehouse, chunks)


def here(warehouse: Warehouse) -> list[Any]:
    with warehouse.connect(read_only=True) as connection:
        return connection.execute(ROWS).fetchall()


def there(url: str, folder: Path) -> list[Any]:
    """What a reader elsewhere finds, by the names of folders alone."""
    store = ObjectStore(url)
    for name in sorted(store.listed("ratings") - {INDEX}):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(store.read(name) or b"")
    files = str(folder / "ratings" / "*" / "*.parquet")
    options = "hive_partitioning = true, hive_types = {'month': VARCHAR}"
    sql = f"SELECT * FROM read_parquet('{files}', {options}) ORDER BY ALL"
    return duckdb.connect().execute(sql).fetchall()


# fault, whether the months are sent in spite of it
UPLOADS = [
    (Fault("500", "PUT", PARQUET, times=2), True),
    (Fault("500", "PUT", PARQUET, times=LONG), False),
    (Fault("hang", "PUT", PARQUET, times=LONG), False),
    (Fault("lost answer", "PUT", PARQUET), True),
    (Fault("altered upload", "PUT", PARQUET), True),
    (Fault("altered upload", "PUT", PARQUET, times=LONG), False),
    (Fault("lost answer", "PUT", INDEX), True),
    (Fault("altered upload", "PUT", INDEX), True),
    (Fault("500", "PUT", INDEX, times=LONG), False),
    (Fault("altered", "GET", PARQUET, times=LONG), False),
]


@pytest.mark.parametrize("case", UPLOADS, ids=lambda case: f"{case[0].kind} {case[0].times}")
def test_a_month_is_whole_or_not_named_whatever_its_upload_met(
    server: Bucket, url: str, warehouse: Warehouse, tmp_path: Path, case: tuple[Fault, bool]
) -> None:
    shared, (fault, sent) = sender(url, warehouse), case
    hasty = sender(url, warehouse, fault.timeout)
    server.faults.append(Fault(**vars(fault)))
    if sent:
        assert hasty.send() == 2
    else:
        with pytest.raises(StoreError):
            hasty.send()
        server.faults.clear()
        assert shared.behind() == ["1998-03", "1998-04"]
    assert server.hit.is_set()
    server.faults.clear()
    shared.send()  # the next run
    assert shared.behind() == []
    assert shared.send() == 0
    assert there(url, tmp_path) == here(warehouse) != []
    assert not (tmp_path / "warehouse" / ".tmp-ratings").exists()


SEND = """
import sys
from movierec_assets.resources.stores.shared_chunks import SharedChunks
from movierec_assets.resources.stores.shared_ratings import SharedRatings
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.bundle.objects import TIMEOUT
from pathlib import Path
path, url = sys.argv[1:]
chunks = SharedChunks(ObjectStore(url), Path(path).parent / "chunks")
SharedRatings(Warehouse(path=path), chunks).send()
"""


@pytest.mark.parametrize("at", [PARQUET, INDEX])
def test_what_a_killed_sender_left_is_sent_by_the_next(
    server: Bucket, url: str, warehouse: Warehouse, tmp_path: Path, at: str
) -> None:
    shared = sender(url, warehouse)
    server.faults.append(Fault("hang", "PUT", at))
    process = subprocess.Popen([sys.executable, "-c", SEND, warehouse.path, url], cwd=ROOT)
    assert server.hit.wait(60)
    process.kill()
    process.wait()
    server.faults.clear()
    assert shared.send() == 2
    assert there(url, tmp_path) == here(warehouse)
    assert not (tmp_path / "warehouse" / ".tmp-ratings").exists()


def test_only_the_months_that_changed_are_sent_and_one_without_ratings_goes(
    url: str, warehouse: Warehouse, tmp_path: Path
) -> None:
    shared = sender(url, warehouse)
    shared.send()
    with warehouse.connect() as connection:
        connection.execute("UPDATE chunks SET current = false WHERE day >= '1998-04-01'")
        connection.execute("DELETE FROM validated_ratings WHERE day >= '1998-04-01'")
    assert shared.behind() == ["1998-04"]
    assert shared.send() == 1
    assert there(url, tmp_path) == here(warehouse)
    assert {row[-1] for row in here(warehouse)} == {"1998-03"}


def test_another_homes_ratings_are_left_alone(
    url: str, warehouse: Warehouse, tmp_path: Path
) -> None:
    shared = sender(url, warehouse)
    shared.send()
    before = there(url, tmp_path / "before")
    (tmp_path / "warehouse" / "chunks" / "copy.id").write_text("0" * 32)
    ObjectStore(url).delete(["chunks/index.json"])  # as if that home had sent no chunk
    with pytest.raises(StoreError, match="another home's: set another MOVIEREC_STORE"):
        shared.send()
    assert there(url, tmp_path / "after") == before


@pytest.fixture
def mounted(whole: Home, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    shutil.rmtree(home)
    whole.copy(home)
    (home / ".env").write_text(f"MOVIEREC_STORE={home / 'mounted'}\n")
    with opened(home, monkeypatch) as platform:
        yield platform


def test_a_run_sends_what_it_accepted_and_a_store_that_is_away_stops_no_day(
    mounted: Platform, tmp_path: Path
) -> None:
    first, second = days_from("1998-04-03", 2)
    place = mounted.home / "mounted"
    place.write_text("no folder")
    mounted.deliver(first)
    assert mounted.run(first, None, "raw_ratings", "validated_ratings").success
    place.unlink()
    mounted.deliver(second)
    assert mounted.run(second, None, "raw_ratings", "validated_ratings").success
    assert settings().object_store == f"file://{place}"
    found = there(f"file://{place}", tmp_path)
    assert found == here(mounted.warehouse)
    assert {str(row[4]) for row in found} > {first, second}
