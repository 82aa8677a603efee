"""The archive's copy in an object store that is slow, fails, lies or is cut off: what a home that
loses its disk finds there is whole, and what is forgotten is gone there, too.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from movierec_assets.cli.app import app
from movierec_assets.cli.verify import verify
from movierec_assets.ratings.declaration import PLAIN
from movierec_assets.resources.stores.chunk_archive import ChunkArchive
from movierec_assets.resources.stores.shared_chunks import SharedChunks
from movierec_assets.resources.stores.shared_folder import FAILURES
from movierec_assets.settings import settings
from movierec_serving.bundle import StoreError
from movierec_serving.bundle.documents import seal
from movierec_serving.bundle.object_store import AT_ONCE, ObjectStore
from movierec_serving.bundle.objects import RETRIES, TIMEOUT
from tests.conftest import ROOT, Platform
from tests.support import homes
from tests.support.bucket import LONG, Bucket, Fault, named
from tests.support.generate import as_csv, catalogue, days_from, ratings_of_day
from tests.support.homes import Home, opened

FOLDER, INDEX = SharedChunks.NAME, f"{SharedChunks.NAME}/index.json"
DAYS = ("1998-03-30", "1998-03-31")


def filled(folder: Path, url: str | None = None) -> ChunkArchive:
    """An archive of two days, whose second was delivered by two sources."""
    archive = ChunkArchive(path=str(folder), object_store=url)
    meaning = archive.store_declaration("shop", PLAIN)
    for day, source in ((DAYS[0], "ratings"), (DAYS[1], "ratings"), (DAYS[1], "shop")):
        sha256 = archive.store(day, f"user_id,movie_id\n{day},{source}\n".encode())
        declared = meaning if source == "shop" else None
        archive.receipts.enter(day, sha256, f"{source}/{day}.csv", declared)
    return archive


def copy(url: str, folder: Path, timeout: float = TIMEOUT) -> SharedChunks:
    return SharedChunks(ObjectStore(url, timeout), folder)


def files(folder: Path) -> dict[str, bytes]:
    """What an archive has, whole and half."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


# fault, whether the files are sent in spite of it
UPLOADS = [
    (Fault("500", "PUT", times=2), True),
    (Fault("500", "PUT", times=LONG), False),
    (Fault("hang", "PUT", times=1), True),
    (Fault("hang", "PUT", times=LONG), False),
    (Fault("lost answer", "PUT", times=1), True),
    (Fault("lost answer", "PUT", INDEX, times=1), True),
    (Fault("altered upload", "PUT", times=1), True),
    (Fault("altered upload", "PUT", times=LONG), False),
    (Fault("altered upload", "PUT", INDEX, times=1), True),
    (Fault("shortened", "GET", "/[0-9a-f]{64}$", times=1), True),
    (Fault("altered", "GET", "/[0-9a-f]{64}$", times=LONG), False),
    (Fault("404", "HEAD", times=LONG), False),
    (Fault("500", "PUT", INDEX, times=LONG), False),
    (Fault("hang", "PUT", INDEX, times=LONG), False),
]


@pytest.mark.parametrize("case", UPLOADS, ids=named)
def test_the_copy_is_whole_or_not_named_whatever_its_upload_met(
    server: Bucket, url: str, tmp_path: Path, case: tuple[Fault, bool]
) -> None:
    filled(tmp_path / "home")
    fault, sent = case
    shared = copy(url, tmp_path / "home", fault.timeout)
    server.faults.append(Fault(**vars(fault)))
    if sent:
        assert shared.send() == 7  # three chunks, their receipts, a declaration
    else:
        with pytest.raises(StoreError):
            shared.send()
    assert server.hit.is_set()
    server.faults.clear()
    new = tmp_path / "another disk"
    if sent:
        assert copy(url, new).bring() == 7
        assert files(new) == files(tmp_path / "home")
    copy(url, tmp_path / "home").send()  # the next run
    copy(url, new).bring()
    assert files(new) == files(tmp_path / "home")


# fault, whether the files are brought in spite of it
DOWNLOADS = [
    (Fault("500", times=2), True),
    (Fault("500", times=LONG), False),
    (Fault("hang", times=1), True),
    (Fault("hang", times=LONG), False),
    (Fault("cut off", times=2), True),
    (Fault("shortened", path="/[0-9a-f]{64}$", times=1), True),
    (Fault("altered", path="/[0-9a-f]{64}$", times=1), True),
    (Fault("altered", path="/[0-9a-f]{64}$", times=LONG), False),
    (Fault("altered", path=INDEX, times=LONG), False),
    (Fault("404", path="/[0-9a-f]{64}$", times=LONG), False),
]


@pytest.mark.parametrize("case", DOWNLOADS, ids=named)
def test_no_other_byte_is_brought_whatever_the_download_met(
    server: Bucket, url: str, tmp_path: Path, case: tuple[Fault, bool]
) -> None:
    filled(tmp_path / "home")
    copy(url, tmp_path / "home").send()
    whole, new, (fault, brought) = files(tmp_path / "home"), tmp_path / "another disk", case
    server.faults.append(Fault(**vars(fault)))
    if brought:
        copy(url, new, fault.timeout).bring()
    else:
        with pytest.raises(StoreError):
            copy(url, new, fault.timeout).bring()
        assert files(new).items() <= whole.items()
    assert server.hit.is_set()
    server.faults.clear()
    copy(url, new).bring()
    assert files(new) == whole


SEND = (
    "import sys; from movierec_assets.resources.stores.chunk_archive import ChunkArchive\n"
    "ChunkArchive(path=sys.argv[1], object_store=sys.argv[2]).share()"
)


@pytest.mark.parametrize("at", ["/[0-9a-f]{64}$", INDEX])
def test_a_sender_killed_in_an_upload_leaves_nothing_to_be_seen_and_the_next_goes_on(
    server: Bucket, url: str, tmp_path: Path, at: str
) -> None:
    archive = filled(tmp_path / "home", url)
    server.faults.append(Fault("hang", "PUT", at))
    process = subprocess.Popen([sys.executable, "-c", SEND, archive.path, url], cwd=ROOT)
    assert server.hit.wait(60)
    process.kill()
    process.wait()
    server.faults.clear()
    assert archive.shared_names() == set()
    assert archive.share() == 7
    assert archive.shared_names() == archive.names()
    assert archive.share() == 0


def test_two_writers_that_meet_have_both_what_they_wrote(
    server: Bucket, url: str, tmp_path: Path
) -> None:
    one, two = filled(tmp_path / "one", url), filled(tmp_path / "two", url)
    one.share()
    two.bring()
    first, second = (
        archive.store("1998-04-01", content)
        for archive, content in ((one, b"of one"), (two, b"of two"))
    )
    shared = one.shared
    known, mark = shared._read()
    two.share()  # between the other's look and its write
    assert not shared._write(known, mark)
    one.share()
    assert {("1998-04-01", first), ("1998-04-01", second)} <= one.shared_names()


def test_a_lost_or_altered_chunk_is_read_from_the_copy_and_put_right(
    server: Bucket, url: str, tmp_path: Path
) -> None:
    archive = filled(tmp_path / "home", url)
    archive.share()
    (first, lost), (second, altered), _ = sorted(archive.names())
    whole = files(tmp_path / "home")
    archive.file(first, lost).unlink()
    archive.file(second, altered).write_bytes(b"altered")
    assert archive.share() == 0  # neither is sent
    for day, sha256 in ((first, lost), (second, altered)):
        assert hashlib.sha256(archive.read(day, sha256)).hexdigest() == sha256
    assert files(tmp_path / "home") == whole
    archive.file(first, lost).unlink()
    server.faults.append(Fault("500", "HEAD", times=LONG))
    with pytest.raises(FileNotFoundError):
        archive.read(first, lost)


def test_what_is_taken_out_of_the_archive_leaves_no_byte_in_the_store(
    server: Bucket, url: str, tmp_path: Path
) -> None:
    archive = filled(tmp_path / "home", url)
    archive.share()
    store, gone = ObjectStore(url), sorted(archive.names())[0]
    orphan = hashlib.sha256(b"of a killed writer").hexdigest()
    store.write(f"{FOLDER}/{orphan}", b"of a killed writer")
    archive.remove(*gone)
    server.faults.append(Fault("500", "POST", times=LONG))
    with pytest.raises(StoreError):
        archive.share(without=[gone])
    assert archive.shared_names() == archive.names()  # the index let go of it first
    server.faults.clear()
    server.faults.append(Fault("stale list", "GET", "list-type=2", times=LONG))
    archive.share(without=[])
    assert store.size(f"{FOLDER}/{gone[1]}") is None
    server.faults.clear()
    archive.share(without=[])
    there = {path.removeprefix(f"{FOLDER}/") for path in store.listed(FOLDER)}
    assert there == {"index.json", *(f.sha256 for f in archive.shared.contents().files.values())}


def test_a_chunk_that_nobody_looked_into_is_neither_kept_nor_lost_in_silence(
    url: str, tmp_path: Path
) -> None:
    archive = filled(tmp_path / "home", url)
    archive.share()
    first, *others = sorted(archive.names())
    archive.remove(*first)
    with pytest.raises(StoreError, match="2 of its files are not here"):
        archive.share(without=[])
    assert archive.shared_names() == {first, *others}


def test_a_home_whose_every_chunk_was_rewritten_is_still_the_same_home(
    url: str, tmp_path: Path
) -> None:
    archive = filled(tmp_path / "home", url)
    archive.share()
    for day, sha256 in (before := archive.names()):
        archive.store(day, f"what is left of {sha256}".encode())
        archive.remove(day, sha256)
    archive.share()  # as after a kill
    archive.bring()
    assert before < archive.names()
    for day, sha256 in before:
        archive.remove(day, sha256)
    archive.share(without=before)
    assert archive.shared_names() == archive.names()


def test_of_many_files_not_all_are_tried_at_a_store_that_is_away(
    server: Bucket, url: str, tmp_path: Path
) -> None:
    archive = ChunkArchive(path=str(tmp_path / "home"))
    for day in days_from("1998-04-01", 60):
        archive.store(day, day.encode())
    server.faults.append(away := Fault("500", "HEAD", times=LONG))
    with pytest.raises(StoreError):
        copy(url, tmp_path / "home").send()
    assert LONG - away.times <= (FAILURES + AT_ONCE + 2) * (RETRIES + 1) < 60


def test_another_homes_copy_is_left_alone(url: str, tmp_path: Path) -> None:
    archive = filled(tmp_path / "home", url)
    archive.share()
    other = ChunkArchive(path=str(tmp_path / "other"), object_store=url)
    other.store(DAYS[0], b"another site's")
    with pytest.raises(StoreError, match="are another home's"):
        other.share()
    other = filled(tmp_path / "third", f"{url}/third")
    other.share()
    with pytest.raises(StoreError, match="are another home's"):
        SharedChunks(ObjectStore(url), tmp_path / "third").bring()
    assert len(archive.shared_names()) == 3


@pytest.mark.parametrize("path", ["../../.bashrc", "/etc/passwd", "1998-03-30/index.json", "a/b"])
def test_an_index_that_leads_out_of_the_archive_is_refused(
    url: str, tmp_path: Path, path: str
) -> None:
    archive = filled(tmp_path / "home", url)
    archive.share()
    store = ObjectStore(url)
    index = json.loads(store.read(INDEX) or b"")
    del index["checksum"]
    index["files"][path] = next(iter(index["files"].values()))
    store.write(INDEX, seal(index).encode())
    shutil.rmtree(tmp_path / "home")
    with pytest.raises(StoreError, match=r"index\.json"):
        archive.bring()
    assert files(tmp_path) == {}


def test_a_folder_that_is_mounted_is_a_store(tmp_path: Path) -> None:
    archive = filled(tmp_path / "home", f"file://{tmp_path}/a mount")
    archive.share()
    whole = files(tmp_path / "home")
    day, gone = sorted(archive.names())[0]
    archive.remove(day, gone)
    archive.share(without=[(day, gone)])
    assert gone not in {path.name for path in (tmp_path / "a mount" / FOLDER).iterdir()}
    shutil.rmtree(tmp_path / "home")
    archive.bring()
    kept = {path: content for path, content in whole.items() if gone not in path}
    assert files(tmp_path / "home") == kept


@pytest.fixture
def stored(
    whole: Home, home: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Platform]:
    """The whole home, whose chunks are in a store, too: a mounted folder, or what a test says."""
    shutil.rmtree(home)
    whole.copy(home)
    store = getattr(request, "param", home / "mounted")
    (home / ".env").write_text(f"MOVIEREC_STORE={store}\n")
    with opened(home, monkeypatch) as platform:
        platform.chunk_archive.share()
        platform.wired.home_files.share()
        yield platform


def movierec(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "300"})


@pytest.mark.parametrize("stored", ["s3://bucket/of-a-home"], indirect=True)
def test_a_home_that_lost_its_disk_has_every_chunk_and_version_and_trains_the_same_models(
    server: Bucket, stored: Platform, whole: Home
) -> None:
    published, second = stored.wired.published_models, whole.state["versions"][2][0]
    published.shared.publish(Path(published.path), 3)
    published.publish(stored.bundle_store.served(second), 2, stored.warehouse.catalogue())
    store = ObjectStore("s3://bucket/of-a-home")
    store.delete(sorted(store.listed("models/2") - {"models/2/index.json"})[:1])
    for folder in ("landing", "chunks", "bundles", "twins", "models", "mlflow", "versions"):
        shutil.rmtree(stored.root / folder)
    for database in (*stored.root.glob("*.db"), stored.root / "movierec.duckdb"):
        database.unlink()
    found = movierec("recover")
    assert "5 chunks of s3://bucket/of-a-home are not here" in found.output
    assert "not here as s3://bucket/of-a-home has it: landing/movies.csv" in found.output
    done = movierec("recover", "--apply")
    assert "brought from s3://bucket/of-a-home: 10" in done.output, done.output
    assert "lost, and the index names it" in done.output  # of version 2, and 3 is brought
    assert stored.query("SELECT count(*) FROM movies") == whole.state["movies"]
    assert published.open(3).bundle.manifest.identity == whole.state["versions"][3][0]
    assert stored.model_registry.production().number == whole.state["production"]
    chunks = "SELECT * EXCLUDE (received_at) FROM chunks ORDER BY ALL"
    assert stored.query(chunks) == whole.state["ledger"]
    rows = stored.query("SELECT * FROM validated_ratings ORDER BY ALL")
    assert rows == whole.state["ratings"]
    assert stored.run(homes.DAYS[0], homes.DAYS[-1], job="retrain").success
    assert homes.state(stored) == whole.state


def test_a_store_that_is_away_stops_no_day_and_has_it_after_the_next(
    stored: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = days_from("1998-04-03", 2)
    stored.bundle_store.share()
    mounted = stored.home / "mounted"
    mounted.rename(stored.home / "aside")
    mounted.write_text("no folder")
    stored.deliver(first)
    stored.landing_zone.deliver_movies(catalogue(70))
    assert stored.run("-", job="catalogue").success
    assert stored.run(first, None, "raw_ratings", "validated_ratings").success
    stored.chunk_archive.remove(*(lost := sorted(stored.chunk_archive.names())[0]))
    assert movierec("recover", "--apply").exit_code == 1
    assert lost in stored.chunk_archive.names()  # mended without the store
    assert "what it has is not known" in movierec("recover").output
    mounted.unlink()
    (stored.home / "aside").rename(mounted)
    assert f"1 archived chunks are not in file://{mounted}, {first}" in movierec("recover").output
    assert f"not in file://{mounted} as it is here: landing/movies.csv" in movierec("status").output
    stored.landing_zone.deliver(second, as_csv(ratings_of_day(second)))
    assert stored.run(second, None, "raw_ratings", "validated_ratings").success
    assert movierec("recover").output == "nothing is lost\n"
    assert stored.chunk_archive.shared_names() == stored.chunk_archive.names()


def test_what_lies_in_the_store_is_said_and_serves_lineage_and_verify(
    stored: Platform, tmp_path: Path
) -> None:
    there = f"file://{stored.home}/mounted: 5 archived chunks with their receipts"
    for arguments in (("status",), ("prune",), ("backup", str(tmp_path / "home.tar"))):
        assert there in movierec(*arguments).output
    shutil.rmtree(stored.root / "chunks")
    traced = movierec("lineage", "4")
    assert (traced.exit_code, traced.output.count("in the object store")) == (0, 4)
    assert [one.identical for one in verify(settings(), 4)] == [True]
    assert movierec("lineage", "4", "--rehash").output.count("hashed again") == 4
