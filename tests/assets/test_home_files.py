"""The copy of a home's other files in an object store: none is lost with the disk, an older one
never takes a newer one's place, and nothing is sent that is not the home's.
"""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from movierec_assets.resources.stores.home_files import HomeFiles, SharedFiles
from movierec_serving.bundle import StoreError
from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.bundle.objects import TIMEOUT
from tests.support.bucket import LONG, Bucket, Fault

INDEX = "home/index.json"
MOVIES, SHOP = "landing/movies.csv", "sources/shop.toml"


def write(warehouse: Path, path: str, content: str) -> None:
    (warehouse / path).parent.mkdir(parents=True, exist_ok=True)
    (warehouse / path).write_text(content)


def filled(warehouse: Path) -> Path:
    write(warehouse, MOVIES, "the first catalogue")
    write(warehouse, SHOP, 'separator = ";"')
    write(warehouse, "sources/README", "nobody's")
    return warehouse


def shared(url: str, warehouse: Path, timeout: float = TIMEOUT) -> SharedFiles:
    return SharedFiles(ObjectStore(url, timeout), warehouse)


def content(warehouse: Path) -> dict[str, str]:
    paths = {path.relative_to(warehouse).as_posix(): path for path in warehouse.rglob("*")}
    return {
        name: path.read_text()
        for name, path in paths.items()
        if path.is_file() and not name.startswith("chunks/")
    }


def test_a_home_that_lost_its_disk_has_the_newest_of_each_file(url: str, tmp_path: Path) -> None:
    home = HomeFiles(filled(tmp_path / "home"), url)
    assert home.share() == 2
    write(home.warehouse, "sources/events.types.toml", "[shared]")
    assert home.share() == 1
    write(home.warehouse, MOVIES, "the second catalogue")
    assert (home.share(), home.share()) == (1, 0)
    assert len(ObjectStore(url).listed("home")) == 4  # the first catalogue is not kept
    new = HomeFiles(tmp_path / "another disk", url)
    assert new.bring() == 3
    assert content(new.warehouse) == {
        MOVIES: "the second catalogue",
        SHOP: 'separator = ";"',
        "sources/events.types.toml": "[shared]",
    }
    assert HomeFiles(filled(tmp_path / "no store")).share() == 0
    ObjectStore(url).delete([INDEX])
    (home.warehouse / SHOP).unlink()
    assert (home.share(), home.bring()) == (2, 0)  # what was given up is not brought back


@pytest.mark.parametrize(
    "fault",
    [
        Fault("500", "PUT", times=LONG),
        Fault("hang", "PUT", times=LONG),
        Fault("altered upload", "PUT", times=LONG),
        Fault("altered", "GET", "/[0-9a-f]{64}$", times=LONG),
        Fault("500", "PUT", INDEX, times=LONG),
    ],
    ids=lambda fault: f"{fault.method} {fault.path}: {fault.kind}",
)
def test_a_file_whose_upload_failed_leaves_the_one_before_whole_and_is_sent_with_the_next(
    server: Bucket, url: str, tmp_path: Path, fault: Fault
) -> None:
    home = shared(url, filled(tmp_path / "home"))
    home.send()
    write(tmp_path / "home", MOVIES, "the second catalogue")
    server.faults.append(Fault(**vars(fault)))
    with pytest.raises(StoreError):
        shared(url, tmp_path / "home", fault.timeout).send()
    server.faults.clear()
    assert home.differences() == ([MOVIES], [])
    shared(url, tmp_path / "lost then").bring()
    assert content(tmp_path / "lost then")[MOVIES] == "the first catalogue"
    home.send()
    shared(url, tmp_path / "lost later").bring()
    assert content(tmp_path / "lost later")[MOVIES] == "the second catalogue"
    assert home.differences() == ([], [])


def test_an_older_file_of_a_backup_takes_no_newer_ones_place(url: str, tmp_path: Path) -> None:
    home = shared(url, filled(tmp_path / "home"))
    home.send()
    shutil.copytree(tmp_path / "home", tmp_path / "backup")
    write(tmp_path / "home", MOVIES, "the second catalogue")
    home.send()
    restored = shared(url, tmp_path / "backup")
    write(tmp_path / "backup", SHOP, "changed since")
    assert restored.differences() == ([SHOP], [MOVIES])
    assert restored.send() == 1  # before anybody thinks of `recover`
    assert restored.bring() == 1
    expected = {MOVIES: "the second catalogue", SHOP: "changed since"}
    assert content(tmp_path / "backup").items() >= expected.items()
    shared(url, tmp_path / "new").bring()
    assert content(tmp_path / "new") == expected


def test_another_homes_files_are_neither_taken_nor_replaced(url: str, tmp_path: Path) -> None:
    shared(url, filled(tmp_path / "home")).send()
    other = shared(url, filled(tmp_path / "other"))
    with pytest.raises(StoreError, match="are another home's"):
        other.send()
    shared(f"{url}/elsewhere", tmp_path / "other").send()
    with pytest.raises(StoreError, match="are another home's"):
        other.bring()


def test_a_link_out_of_the_landing_zone_is_not_sent(url: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of this machine")
    home = shared(url, filled(tmp_path / "home"))
    (tmp_path / "home" / MOVIES).unlink()
    (tmp_path / "home" / MOVIES).symlink_to(tmp_path / "secret")
    assert home.send() == 1
    assert set(home.contents().files) == {SHOP}


@pytest.mark.parametrize("path", ["../../.bashrc", "/etc/passwd", "landing/ratings/movies.csv"])
def test_an_index_that_leads_elsewhere_is_refused(url: str, tmp_path: Path, path: str) -> None:
    home = shared(url, filled(tmp_path / "home"))
    home.send()
    known, mark = home._read()
    wrong = {**known.files, path: known.files[MOVIES]}
    assert home._write(known.model_copy(update={"files": wrong}), mark)
    with pytest.raises(StoreError, match=r"index\.json"):
        shared(url, tmp_path / "new").bring()
    assert not (tmp_path / "new").exists() or content(tmp_path / "new") == {}


LIST = "shown/1998-04-01/17-0a1b2c3d4e5f.jsonl"
OTHER = "shown/1998-04-02/17-0a1b2c3d4e5f.jsonl"


def test_lists_of_days_that_are_over_are_sent_once_and_let_go_of_with_those_here(
    url: str, tmp_path: Path
) -> None:
    home = HomeFiles(filled(tmp_path / "home"), url)
    today = datetime.now(UTC).date().isoformat()
    for path in (LIST, OTHER, LIST.replace("1998-04-01", today)):
        write(home.warehouse, path, f"of {path}\n\0\0")
    assert (home.share(), home.share()) == (4, 0)
    write(home.warehouse, LIST, "partly")  # as a backup, or a disk that fails, has it
    assert home.share() == 0
    assert home.bring() == 1
    assert content(home.warehouse)[LIST] == f"of {LIST}\n\0\0"
    shutil.rmtree(home.warehouse / "shown" / "1998-04-01")
    assert home.shared is not None
    assert home.shared.differences() == ([], [LIST])
    assert home.share(gone_before={"shown": "1998-04-02"}) == 0
    assert home.shared.differences() == ([], [])
    assert set(home.shared.contents().files) == {MOVIES, SHOP, OTHER}
    assert len(ObjectStore(url).listed("home")) == 4


def test_a_day_without_a_run_is_named_when_another_one_is_over(url: str, tmp_path: Path) -> None:
    home = shared(url, filled(tmp_path / "home"))
    home.send()
    today = datetime.now(UTC).date()
    for ago in (1, 2):
        day = (today - timedelta(days=ago)).isoformat()
        write(tmp_path / "home", LIST.replace("1998-04-01", day), "lists")
    assert len(home.differences()[0]) == 1
    assert home.send() == 2


def test_what_is_taken_out_of_lists_leaves_no_byte_in_the_store(
    server: Bucket, url: str, tmp_path: Path
) -> None:
    home = shared(url, filled(tmp_path / "home"))
    write(tmp_path / "home", LIST, '"ann"\n"bob"\n')
    home.send()
    orphan = hashlib.sha256(b"of a killed writer").hexdigest()
    home.store.write(f"home/{orphan}", b'"ann"')
    (tmp_path / "home" / LIST).unlink()
    with pytest.raises(StoreError, match="1 of its files are not here"):
        home.send(every=True)  # nobody looked into it
    home.bring()
    write(tmp_path / "home", LIST, '"bob"\n')
    server.faults.append(Fault("500", "POST", times=LONG))
    with pytest.raises(StoreError):
        home.send(every=True)
    server.faults.clear()
    home.send(every=True)
    stored = [home.store.read(name) or b"" for name in home.store.listed("home")]
    assert len(stored) == 4
    assert not any(b"ann" in one for one in stored)
    shared(url, tmp_path / "new").bring()
    assert content(tmp_path / "new")[LIST] == '"bob"\n'
