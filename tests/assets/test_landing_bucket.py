"""Files that arrive in an object store: brought whole, once, whatever the store does."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from movierec_assets.defs.arrivals import landing_bucket_watch
from movierec_assets.errors import LandingBucketError
from movierec_assets.resources.stores.landing_bucket import FAILURES, Brought, LandingBucket
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.settings import settings
from movierec_serving.bundle.objects import PIECE, Objects
from tests.conftest import ROOT, Platform
from tests.support.bucket import LONG, Bucket, Fault
from tests.support.generate import as_csv, days_from, ratings_of_day

DAY, NEXT = "1998-03-02", "1998-03-03"
FILE = f"ratings/{DAY}.csv"
ROW = b"user_id,movie_id,rating,timestamp\nu,m,4,1\n"
LIMIT = 1000  # bytes


@pytest.fixture
def store(url: str) -> Objects:
    return Objects(url)


@pytest.fixture
def zone(tmp_path: Path) -> LandingZone:
    return LandingZone(path=str(tmp_path / "landing"))


def watched(store: Objects, zone: LandingZone, **more: Any) -> LandingBucket:
    options = {"max_bytes": LIMIT, **more}
    return LandingBucket(store, zone, Path(zone.path).parent / "taken" / "bucket.json", **options)


def put(server: Bucket, url: str, name: str) -> None:
    """By another program than obstore, which knows no such names."""
    with closing(HTTPConnection("127.0.0.1", server.upstream)) as connection:
        connection.request("PUT", f"{url.removeprefix('s3:/')}/{name}", ROW)
        assert connection.getresponse().status == 200


def here(zone: LandingZone) -> dict[str, bytes]:
    """Every file of the landing zone, half ones included."""
    root = Path(zone.path)
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def test_what_is_new_or_changed_is_brought_and_nothing_else_is_touched(
    server: Bucket, store: Objects, zone: LandingZone
) -> None:
    bucket, root = watched(store, zone), Path(zone.path)
    assert bucket.bring() == Brought((), ())
    for name in (FILE, f"shop/{NEXT}.parquet", "movies.csv"):
        store.write(name, ROW)
    assert bucket.bring().files == ("movies.csv", FILE, f"shop/{NEXT}.parquet")
    before = {name: (root / name).stat().st_mtime_ns for name in here(zone)}
    server.faults.append(Fault("500", "GET", FILE, LONG))  # nobody asks for it again
    assert bucket.bring().files == ()
    server.faults.clear()
    store.write(FILE, ROW + b"v,m,5,2\n")
    store.delete(["movies.csv"])
    assert bucket.bring().files == (FILE,)
    assert here(zone) == {
        FILE: ROW + b"v,m,5,2\n",
        f"shop/{NEXT}.parquet": ROW,
        "movies.csv": ROW,  # what the bucket lacks is taken away from nobody
    }
    (root / FILE).unlink()
    (root.parent / "taken" / "bucket.json").write_text("torn")
    assert bucket.bring().files == (FILE,)
    assert (root / "movies.csv").stat().st_mtime_ns == before["movies.csv"]  # a change is news


@pytest.mark.parametrize(
    "fault",
    [
        Fault("500", "GET", FILE, LONG),
        Fault("hang", "GET", FILE, LONG),
        Fault("shortened", "GET", FILE, LONG),
        Fault("cut off", "GET", FILE, LONG),
        Fault("404", "GET", FILE, LONG),
        Fault("500", "GET", "list-type=2", LONG),
    ],
    ids=lambda fault: f"{fault.kind} {fault.path}",
)
def test_what_cannot_be_brought_stops_nothing_else_and_comes_the_next_time(
    server: Bucket, store: Objects, zone: LandingZone, fault: Fault
) -> None:
    store.write(FILE, ROW)
    store.write("movies.csv", ROW)
    server.faults.append(Fault(**vars(fault)))
    with pytest.raises(LandingBucketError, match=r"s3://bucket/.*"):
        watched(Objects(store.url, fault.timeout), zone).bring()
    assert here(zone).keys() <= {"movies.csv"}
    assert here(zone) or fault.path != FILE
    server.faults.clear()
    watched(store, zone).bring()
    assert here(zone) == {FILE: ROW, "movies.csv": ROW}


def test_objects_that_nobody_may_read_keep_back_others_once_alone(
    server: Bucket, store: Objects, zone: LandingZone
) -> None:
    """As those that a bucket has moved to an archive of its own."""
    for day in (*days_from("1998-01-01", FAILURES), DAY):
        store.write(f"ratings/{day}.csv", ROW)
    server.faults.append(Fault("404", "GET", "ratings/1998-01", LONG))
    for _ in range(2):
        with pytest.raises(LandingBucketError, match=r"ratings/1998-01-01\.csv"):
            watched(store, zone).bring()
    assert here(zone) == {FILE: ROW}


def test_an_old_list_takes_nothing_away(server: Bucket, store: Objects, zone: LandingZone) -> None:
    store.write(FILE, ROW)
    watched(store, zone).bring()
    server.faults.append(Fault("stale list", "GET", "list-type=2"))
    assert watched(store, zone).bring() == Brought((), ())
    assert here(zone) == {FILE: ROW}


def test_a_list_that_writes_marks_otherwise_brings_nothing_again(
    server: Bucket, store: Objects, zone: LandingZone
) -> None:
    store.write(FILE, ROW)
    server.faults.append(Fault("bare marks", "GET", "list-type=2", LONG))
    assert watched(store, zone).bring().files == (FILE,)
    server.faults.append(Fault("500", "GET", FILE, LONG))  # nobody asks for it again
    assert watched(store, zone).bring().files == ()


def test_names_that_lead_elsewhere_and_large_files_stay_where_they_are(
    store: Objects, zone: LandingZone
) -> None:
    for name in (
        "ratings/19980302.csv",
        "ratings/notes.txt",
        f"deep/er/{DAY}.csv",
        f"..a/{DAY}.csv",
        f"Ratings/{DAY}.csv",
        f"movies/{DAY}.csv",
        f"{DAY}.csv",
        f"ratings/{DAY}.csv.tmp",
    ):
        store.write(name, ROW)
    store.write(FILE, ROW * 100)
    brought = watched(store, zone).bring()
    assert here(zone) == {}
    assert brought.odd == (
        "19980302.csv is not read, is it 1998-03-02.csv? Expected YYYY-MM-DD.csv or .parquet",
        f"{FILE} is not brought: it has 4,200 bytes, and MOVIEREC_MAX_CHUNK_MB allows 1,000",
    )


@pytest.mark.parametrize(
    ("name", "kept_back"),
    [
        ("ratings//a.csv", {FILE}),
        ("ratings/./a.csv", {FILE}),
        ("/a.csv", {"movies.csv"}),
        ("logs//a.csv", set()),
    ],
)
def test_a_name_that_cannot_be_read_keeps_back_its_own_folder_alone_and_is_named(
    server: Bucket, url: str, store: Objects, zone: LandingZone, name: str, kept_back: set[str]
) -> None:
    wanted = {FILE, f"shop/{DAY}.csv", "movies.csv"}
    zone.declare("shop", "")
    for wanted_name in wanted:
        store.write(wanted_name, ROW)
    put(server, url, name)
    if kept_back:
        with pytest.raises(LandingBucketError, match="rename that object"):
            watched(store, zone).bring()
    else:
        watched(store, zone).bring()
    assert here(zone).keys() == wanted - kept_back


def test_a_file_that_one_request_cannot_bring_comes_in_pieces(
    server: Bucket, store: Objects, zone: LandingZone
) -> None:
    content = ROW * (PIECE // len(ROW) + 1)
    bucket = watched(store, zone, max_bytes=2 * len(content))
    store.write(FILE, content)
    server.faults.append(Fault("hang if whole", "GET", FILE, LONG))
    assert bucket.bring().files == (FILE,)
    assert here(zone) == {FILE: content}
    store.write(FILE, content[::-1])
    assert bucket.bring().files == (FILE,)
    assert here(zone) == {FILE: content[::-1]}


def test_a_look_ends_before_dagster_gives_it_up_and_the_next_one_goes_on(
    store: Objects, zone: LandingZone
) -> None:
    for name in (FILE, "movies.csv"):
        store.write(name, ROW)
    bucket = watched(store, zone, clock=iter(range(0, 1000, 41)).__next__)
    assert bucket.bring().files == ("movies.csv",)
    assert bucket.bring().files == (FILE,)
    assert bucket.bring().files == ()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("localhost:9000", "is AWS_ENDPOINT_URL an address that begins with http"),
        ("http://somebody:a-password@127.0.0.1:9", "s3://bucket/x/: "),
    ],
)
def test_an_address_that_is_none_is_named_and_a_password_in_one_is_not(
    zone: LandingZone, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "of-the-tests")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with pytest.raises(LandingBucketError, match=said) as told:
        watched(Objects("s3://bucket/x"), zone).bring()
    assert "a-password" not in str(told.value)


def test_nothing_is_written_through_a_link_that_leads_out(
    store: Objects, zone: LandingZone, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    Path(zone.path).mkdir()
    (Path(zone.path) / "ratings").symlink_to(outside)
    store.write(FILE, ROW)
    with pytest.raises(LandingBucketError, match="leads out of the landing zone"):
        watched(store, zone).bring()
    assert list(outside.iterdir()) == []
    with pytest.raises(ValueError, match="no file of the landing zone"):
        zone.receive("../outside/1998-03-02.csv", ROW)


KILLED = """
import os, sys
from pathlib import Path
from movierec_assets.resources.stores import landing_bucket, landing_zone
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_serving.bundle.objects import Objects
url, folder, point = sys.argv[1:]
module = landing_zone if point == "file" else landing_bucket
module.replace_file = lambda *_: os._exit(9)
zone = LandingZone(path=folder)
landing_bucket.LandingBucket(
    Objects(url), zone, Path(folder).parent / "taken" / "bucket.json", 1000
).bring()
"""


@pytest.mark.parametrize("point", ["file", "record"])
def test_a_kill_leaves_no_half_file_and_the_next_look_goes_on(
    server: Bucket, store: Objects, zone: LandingZone, url: str, point: str
) -> None:
    store.write(FILE, ROW)
    command = [sys.executable, "-c", KILLED, url, zone.path, point]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 9
    assert here(zone) in ({}, {FILE: ROW})
    assert watched(store, zone).bring().files == ((FILE,) if point == "file" else ())
    assert here(zone) == {FILE: ROW}


def test_a_day_in_the_bucket_becomes_validated_ratings(
    server: Bucket, url: str, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = as_csv(ratings_of_day(DAY, ratings=200))
    Objects(url).write(FILE, content)
    with dg.build_sensor_context(instance=platform.instance) as context:
        told = landing_bucket_watch(context, platform=platform.wired)
        assert told.skip_message == "MOVIEREC_LANDING_BUCKET is not set"
        monkeypatch.setenv("MOVIEREC_LANDING_BUCKET", url)
        settings.cache_clear()
        told = landing_bucket_watch(context, platform=platform.wired)
    assert told.skip_message == "1 files were brought"
    assert platform.run(DAY, None, "raw_ratings", "validated_ratings").success
    assert platform.query("SELECT count(*) FROM validated_ratings") == [(200,)]
