"""A forgotten user: no byte of the id is left in the home, and the others are served as before."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner, Result

from movierec_assets.cli.app import app
from movierec_assets.cli.verify import verify
from movierec_assets.maintenance.erasure import remove_models
from movierec_assets.maintenance.journal import Journal
from movierec_assets.resources.stores.shared_ratings import share_ratings
from movierec_assets.settings import settings
from movierec_serving.bundle.documents import seal
from movierec_serving.events import Event, KeptEvent
from tests.conftest import Platform
from tests.support.endpoint_process import TOKEN, EndpointProcess
from tests.support.generate import as_csv, day_start, days_from, ratings_of_day
from tests.support.homes import Home, opened
from tests.support.processes import started

USER = "ann-7f3c1e"  # rates from the second day on
LATER = days_from("1998-04-03", 2)


def with_user(day: str) -> bytes:
    """A generated day, the user's ratings, and a rejected row of hers."""
    at = str(day_start(day) + 60)
    own = [[USER, f"m{movie}", "5", at] for movie in range(0, 40, 4)]
    return as_csv([*ratings_of_day(day), *own, [USER, "m1", "99", at], [f" {USER}", "m2", "9", at]])


def keep_events(platform: Platform, day: str, *users: str) -> None:
    """Keep a click of each user, delivered with a day, as the store and the archive have it."""
    at = day_start(day) + 43_200
    events = [Event.of(user, "m1", "click", timestamp=at) for user in users]
    kept = [KeptEvent(event, at, False, day) for event in events]
    platform.wired.event_log.store.put_back(day, kept)
    platform.wired.home_files.events.write(day, kept)


@pytest.fixture(scope="session")
def known(whole: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The whole home, two days later: the user is in its chunks, tables, models, tags and logs."""
    folder = tmp_path_factory.mktemp("known") / "a home"
    whole.copy(folder)
    with pytest.MonkeyPatch.context() as monkeypatch, opened(folder, monkeypatch) as platform:
        platform.model_registry.change("unpin", 3, "a test")
        for day in LATER:
            platform.landing_zone.deliver(day, with_user(day))
        assert platform.run(*LATER).success
        assert platform.model_registry.production().number == 6
        platform.model_registry.change("pin", 6, f"{USER} likes it")
        monkeypatch.setenv("MOVIEREC_STORE", str(folder / "mounted"))
        settings.cache_clear()
        platform.run("-", job="deploy")
        assert (folder / "mounted" / "models" / "6" / "index.json").is_file()
        platform.chunk_archive.share()
        share_ratings(platform.warehouse, platform.chunk_archive)
        platform.bundle_store.share()
        shutil.rmtree(platform.bundle_store.twin(platform.model_registry.get(6).identity))
        left = folder / "mounted" / "bundles" / ("0" * 64)  # by a writer that was killed
        left.mkdir()
        (left / ("0" * 64)).write_text(USER)
        for day in LATER:
            (platform.root / "shown" / day).mkdir(parents=True)
            shown = [{"user_id": user, "movies": ["m1"]} for user in (USER, "u1")]
            text = "".join(json.dumps(one) + "\n" for one in shown)
            (platform.root / "shown" / day / "17-0a1b2c.jsonl").write_text(text + "\0\0")
        (platform.root / "shown" / LATER[1] / "17-aa.jsonl").write_text(text.replace("m1", "m2"))
        keep_events(platform, LATER[0], USER, "u1")
        keep_events(platform, LATER[1], USER)
        platform.wired.home_files.share()
        shutil.rmtree(platform.root / "shown" / LATER[1])  # so that only the store has them
        shutil.rmtree(platform.root / "events" / "delivered")
        logs = platform.root / "logs"
        logs.mkdir(exist_ok=True)
        for name in ("endpoint.log", "endpoint.log.1"):
            (logs / name).write_text(f"GET /recommend/{USER}\nGET /recommend/u1\n")
        events = [{"user_id": USER, "movie_id": "m1"}, {"user_id": "u1", "movie_id": "m1"}]
        lines = "".join(json.dumps(event) + "\n" for event in events)
        (platform.root / "events").mkdir(exist_ok=True)
        (platform.root / "events" / "1998-04-04.jsonl").write_text(lines)
        (platform.root / "events" / "1998-04-03.jsonl.gz").write_bytes(
            gzip.compress(lines.encode())
        )
    settings.cache_clear()
    assert len(found := list(holding(folder))) > 10
    assert sum(file.startswith("mounted/chunks/") for file in found) == 2
    assert "mounted/ratings/month=1998-04/ratings.parquet" in found
    assert (
        sum(file.startswith("mounted/bundles/") for file in found) == 5
    )  # two days, twins, a rest
    assert sum(file.startswith("mounted/home/") for file in found) == 5
    return Home(folder, {})


@pytest.fixture
def home_of_user(known: Home, home: Path) -> Path:
    shutil.rmtree(home)
    known.copy(home)
    env = f"MOVIEREC_STORE={home}/mounted\nMOVIEREC_LANDING_BUCKET=s3://theirs/for-us\n"
    (home / ".env").write_text(env)
    return home


def forget(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["forget", *arguments], catch_exceptions=False)


def holding(home: Path) -> Iterator[str]:
    """Where the id still is: bytes of every file in two encodings, and every text of the tables."""
    wanted = [USER.encode(), USER.encode("utf-16-le"), USER.encode("utf-16-be")]
    for file in sorted(path for path in home.rglob("*") if path.is_file()):
        try:
            content = file.read_bytes()
        except FileNotFoundError:  # SQLite's beside a database that was open until now
            continue
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        if file.suffix == ".parquet":
            content = str(duckdb.connect().read_parquet(str(file)).fetchall()).encode()
        if any(form in content for form in wanted):
            yield str(file.relative_to(home))
    with duckdb.connect(str(home / "warehouse" / "movierec.duckdb"), read_only=True) as tables:
        for (table,) in tables.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            for row in tables.execute(f"SELECT * FROM {table}").fetchall():
                if USER in str(row):
                    yield f"{table}: {row}"


def check_forgotten(platform: Platform) -> None:
    assert list(holding(platform.home)) == []
    assert {one.number for one in platform.model_registry.versions()} == {1, 2, 3, 4, 7, 8}
    assert [one.gate for one in platform.model_registry.versions()[-2:]] == ["passed", "passed"]
    for number in (5, 6):
        record = platform.model_registry.records.get(number)
        assert record.removed.startswith("forget, ")
        assert record.removed.endswith("asked by mail")
    assert platform.model_registry.production().number == 8
    for day, chunks in platform.warehouse.chunks().items():
        for chunk in chunks:
            assert platform.chunk_archive.read(day, chunk.sha256)
            assert chunk.rows == chunk.validated + chunk.rejected + chunk.superseded
    assert platform.chunk_archive.shared_names() == platform.chunk_archive.names()
    assert platform.bundle_store.shared.differences() == ([], [])
    assert [one.identical for one in verify(settings(), 8, since=LATER[0])] == [True, True]
    entries = [json.loads(x) for x in (platform.root / "erasures.jsonl").read_text().splitlines()]
    assert {(entry["day"], entry["records_removed"]) for entry in entries} == {
        (day, 12) for day in LATER
    }
    assert not (platform.root / "forget.id").exists()
    assert platform.wired.home_files.shared.differences() == ([], [])
    copies = [file.read_bytes() for file in (platform.home / "mounted" / "home").iterdir()]
    assert sum(b'"user_id": "u1"' in copy for copy in copies) == 2
    assert sum(b",u1,m1,click," in copy for copy in copies) == 1
    assert len(platform.wired.event_log.store.of_user("u1")) == 1


def test_nothing_of_a_forgotten_user_is_left_and_the_others_are_served(
    home_of_user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(home_of_user, monkeypatch) as platform:
        before = dict(
            platform.query("SELECT user_id, count(*) FROM validated_ratings GROUP BY user_id")
        )
        done = forget(USER, "--reason", "asked by mail")
        assert done.exit_code == 0, done.output
        assert USER not in done.output
        assert "s3://theirs/for-us was not searched" in done.output
        check_forgotten(platform)
        again = forget(USER, "--reason", "asked by mail").output
        assert ("no delivered file had this id" in done.output, "no delivered" in again) == (0, 1)
        after = dict(
            platform.query("SELECT user_id, count(*) FROM validated_ratings GROUP BY user_id")
        )
        assert after == {user: count for user, count in before.items() if user != USER}
        assert "was removed: forget" in CliRunner().invoke(app, ["lineage", "6"]).stderr
        assert CliRunner().invoke(app, ["recover"]).output == "nothing is lost\n"
        assert platform.run(*LATER).success
        assert platform.model_registry.versions()[-1].number == 8
    shutil.rmtree(home_of_user / "warehouse" / "models")  # as at an endpoint of another machine
    endpoint = EndpointProcess(home_of_user, TOKEN).start()
    try:
        assert endpoint.reload(8).status_code == 200
        assert endpoint.client.get(f"/recommend/{USER}").json()["source"] == "popular"
        assert endpoint.client.get("/recommend/u1").json()["source"] == "als"
    finally:
        endpoint.stop()


def test_a_record_that_names_no_model_is_no_reason_to_remove_its_version(
    home_of_user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(home_of_user, monkeypatch) as platform:
        record = platform.root / "versions" / "1.json"
        content = json.loads(record.read_text())
        del content["checksum"], content["tags"]["identity"]
        record.write_text(seal(content))
        assert platform.model_registry.records.get(1).identity == ""
        assert remove_models(platform.wired, Journal(USER, "asked", "1998-04-05")) == [5, 6]


KILLER = """
import json, os, sys
from movierec_assets.cli import forgetting as it
from movierec_assets.cli.app import app
from movierec_assets.definitions import defs
from movierec_assets.maintenance import erasure
from movierec_assets.resources.stores import bundle_store
from movierec_assets.resources.stores.shared_bundles import SharedBundles
from movierec_assets.resources.stores.shared_chunks import SharedChunks
from movierec_assets.settings import settings
from movierec_serving.bundle.object_store import ObjectStore
places = {
    "_audit": erasure, "_change": SharedChunks, "delete": ObjectStore,
    "_delete": SharedBundles, "remove_folder": bundle_store,
}
print("ready", flush=True)
for line in sys.stdin:
    after, user, home, environment = json.loads(line)
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.chdir(home)
        os.environ.clear()
        os.environ.update(environment)
        settings.cache_clear()
        where = places.get(after, it)
        whole = getattr(where, after)
        def killed(*given, **named):
            whole(*given, **named)
            os.kill(os.getpid(), 9)
        setattr(where, after, killed)
        app(["forget", user, "--reason", "asked by mail"])
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def killer() -> Iterator[subprocess.Popen[str]]:
    """A process that has imported all, and forks for each erasure, which is killed after a call."""
    with started(KILLER) as process:
        yield process


@pytest.mark.parametrize(
    "after",
    [
        *("_audit", "_change", "delete", "_delete", "remove_folder"),
        *("erase_rows", "replay", "scrub_databases"),
    ],
)
def test_an_erasure_that_was_killed_goes_on(
    home_of_user: Path,
    monkeypatch: pytest.MonkeyPatch,
    killer: subprocess.Popen[str],
    after: str,
) -> None:
    with opened(home_of_user, monkeypatch) as platform:
        asked = json.dumps([after, USER, str(home_of_user), dict(os.environ)])
        print(asked, file=killer.stdin, flush=True)
        assert killer.stdout.readline() == "-9\n"
        assert (platform.root / "forget.id").stat().st_mode & 0o777 == 0o600
        refused = forget("somebody-else", "--reason", "asked, too")
        assert refused.exit_code == 1
        assert "unfinished" in refused.stderr
        resumed = forget("--resume")
        assert resumed.exit_code == 0, resumed.output
        check_forgotten(platform)


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ((USER,), "with --reason why"),
        ((USER, "--reason", " "), "with --reason why"),
        ((USER, "--reason", f"{USER} asked"), "the reason names the user"),
        (("--resume",), "there is no unfinished erasure"),
        ((), "expected a user"),
        ((USER, "--resume"), "expected a user"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    home: Path, arguments: tuple[str, ...], cause: str
) -> None:
    refused = forget(*arguments)
    assert refused.exit_code == 1
    assert cause in refused.stderr
    assert not (home / "warehouse" / "forget.id").exists()
