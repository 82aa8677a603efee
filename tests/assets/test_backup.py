"""A backup taken while others write, restored at another path, checked, and served from."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from movierec_assets.cli.app import app
from movierec_assets.cli.verify import verify
from movierec_assets.errors import BackupError
from movierec_assets.maintenance.backup import MANIFEST, back_up
from movierec_assets.maintenance.contents import snapshot_sqlite
from movierec_assets.maintenance.restore import restore
from movierec_assets.settings import settings
from tests.support.endpoint_process import TOKEN, EndpointProcess
from tests.support.homes import DAYS, Home, opened, state
from tests.support.processes import started

ENV = (  # a setting of each program, and one of each whose name begins otherwise or is both's
    "MOVIEREC_FACTORS='64'\nMOVIEREC_APP='off'\nMOVIEREC_SERVING_WORKERS='1'\n"
    "MOVIEREC_LOG_FORMAT='json'\nMOVIEREC_STORE=''\nDAGSTER_WEBSERVER_PORT='3100'\n"
)


@pytest.fixture(scope="session")
def archive(whole: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole home's backup, with a secret and a setting in its .env."""
    folder = tmp_path_factory.mktemp("backup") / "copied"
    whole.copy(folder)
    (folder / ".env").write_text(
        f"MOVIEREC_RELOAD_TOKEN='never-in-a-backup'\nMOVIEREC_WEBHOOK='http://never-in-a-backup'\n{ENV}"
    )
    file = folder.with_name("home.tar.gz")
    with pytest.MonkeyPatch.context() as monkeypatch, opened(folder, monkeypatch) as platform:
        assert CliRunner().invoke(app, ["backup", str(file)]).exit_code == 0
        assert platform.model_registry.local
    settings.cache_clear()
    return file


def test_a_restored_home_is_what_it_was_and_serves(
    whole: Home, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "another place"
    done = CliRunner().invoke(app, ["restore", str(archive), "--to", str(elsewhere)])
    assert done.exit_code == 0, done.output
    assert (elsewhere / ".env").read_text() == ENV
    with opened(elsewhere, monkeypatch) as platform:
        assert state(platform) == whole.state
        assert [one.identical for one in verify(settings(), 2, since=DAYS[0])] == [True, True]
        assert "another%20place" in str(platform.model_registry.artifacts(2))
        platform.deliver(day := "1998-04-03")
        assert platform.run(day).success
    endpoint = EndpointProcess(elsewhere, TOKEN).start()
    try:
        assert endpoint.reload(3).status_code == 200
        answer = endpoint.client.get("/recommend/u1", params={"n": 5}).json()
        assert (answer["model_version"], len(answer["items"])) == (3, 5)
    finally:
        endpoint.stop()


def test_no_secret_is_in_a_backup_unless_asked(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        texts = [tar.extractfile(member).read() for member in tar if member.isreg()]
        names = tar.getnames()
    assert not any(b"never-in-a-backup" in text for text in texts)
    assert archive.stat().st_mode & 0o077 == 0
    assert names[-1] == MANIFEST
    assert not [name for name in names if name.endswith((".lock", "-wal", "-shm"))]
    assert not [name for name in names if name.startswith("warehouse/migrations")]


def test_a_backup_is_not_packed_at_any_cost(archive: Path) -> None:
    """gzip's header says 2 for its slowest level, which took nine tenths of a backup's CPU."""
    assert archive.read_bytes()[8] == 0


def test_a_home_that_holds_data_is_left_alone(whole: Home, archive: Path) -> None:
    with pytest.raises(BackupError, match="holds data"):
        restore(archive, whole.folder)


@pytest.mark.parametrize("harm", ["cut", "altered", "outside", "link", "device", "foreign"])
def test_an_archive_that_is_not_sound_restores_nothing(
    archive: Path, tmp_path: Path, harm: str
) -> None:
    bad, home = tmp_path / "bad.tar", tmp_path / "home"
    with tarfile.open(archive) as good, tarfile.open(bad, "w") as tar:
        for member in good:
            file = good.extractfile(member) if member.isreg() else None
            content = file.read() if file is not None else b""
            if harm == "cut" and member.name == MANIFEST:
                continue
            if harm == "altered" and member.name.endswith("movies.csv"):
                content = content[::-1]
            tar.addfile(member, io.BytesIO(content))
        extra = tarfile.TarInfo({"outside": "../evil"}.get(harm, "warehouse/evil"))
        if harm == "foreign":
            extra.name = "warehouse/migrations/0099_evil.sql"
        if harm == "link":
            extra.type, extra.linkname = tarfile.SYMTYPE, "/etc/passwd"
        if harm == "device":
            extra.type = tarfile.CHRTYPE
        if harm in ("outside", "link", "device", "foreign"):
            tar.addfile(extra)
    with pytest.raises(BackupError):
        restore(bad, home)
    assert not (tmp_path / "evil").exists()
    assert list((home / "warehouse").glob("*") if home.exists() else []) == []
    assert [path.name for path in home.glob(".tmp-*")] == []


def test_what_is_no_archive_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.tar.gz").write_text("hello")
    with pytest.raises(BackupError) as refused:
        restore(tmp_path / "notes.tar.gz", tmp_path / "home")
    assert str(refused.value) == f"{tmp_path / 'notes.tar.gz'}: not a tar archive, so no backup"
    assert list((tmp_path / "home").iterdir()) == []


def test_a_killed_restore_leaves_the_home_empty_and_the_next_one_succeeds(
    archive: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    program = (
        "import os, shutil, sys, pathlib\n"
        "from movierec_assets.maintenance import restore as it\n"
        "it._become = lambda *_: os.kill(os.getpid(), 9)\n"
        "it.restore(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(archive), str(home)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert done.returncode == -9
    assert not (home / "warehouse").exists()
    assert restore(archive, home) > 20
    assert (home / "warehouse" / "movierec.duckdb").is_file()
    assert list(home.glob(".tmp-*")) == []


RUN = """
import sys
from pathlib import Path
import dagster as dg
from tests.conftest import Platform
print("ready", flush=True)
with dg.DagsterInstance.get() as instance:
    assert Platform(Path(sys.argv[1]), instance).run("1998-04-03", "1998-04-04").success
"""


def test_a_backup_beside_writers_holds_what_its_databases_name(
    whole: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks and versions are added all the while; each row refers to a file that is there."""
    folder, backups = tmp_path / "busy", list[Path]()
    whole.copy(folder)
    with opened(folder, monkeypatch) as platform:
        platform.deliver("1998-04-03", "1998-04-04")
        with started(RUN, str(folder)) as running:
            while running.poll() is None:
                backups.append(tmp_path / f"{len(backups)}.tar")
                back_up(platform.wired, backups[-1])
            assert running.returncode == 0
    shutil.rmtree(folder)
    for backup in backups[:: max(len(backups) // 3, 1)]:  # of its beginning, middle and end
        home = tmp_path / backup.stem
        restore(backup, home)
        with opened(home, monkeypatch) as platform:
            for version in platform.model_registry.versions():
                assert platform.bundle_store.complete(version.identity)
            for chunks in platform.warehouse.chunks().values():
                for chunk in chunks:
                    assert platform.chunk_archive.read(chunk.day, chunk.sha256)


def test_what_people_drop_in_the_landing_zone_stops_no_backup(
    whole: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows leaves a Thumbs.db in folders with pictures; it is no database."""
    whole.copy(tmp_path / "home")
    dropped = tmp_path / "home" / "warehouse" / "landing" / "ratings" / "Thumbs.db"
    dropped.write_bytes(b"no database")
    with opened(tmp_path / "home", monkeypatch) as platform:
        manifest = back_up(platform.wired, tmp_path / "home.tar")
        assert manifest.files["warehouse/landing/ratings/Thumbs.db"][1] == len(b"no database")


def test_a_database_that_cannot_be_copied_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs.db").write_bytes(b"no database " * 100)
    with pytest.raises(sqlite3.Error, match=r"runs\.db: file is not a database"):
        snapshot_sqlite(tmp_path / "runs.db", tmp_path / "copy.db")


def test_a_backup_overwrites_nothing(whole: Home, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_text("mine")
    assert CliRunner().invoke(app, ["backup", str(tmp_path / "a.tar")]).exit_code == 1
    assert CliRunner().invoke(app, ["backup", str(tmp_path / "a.zip")]).exit_code == 1
    assert (tmp_path / "a.tar").read_text() == "mine"


def test_a_backup_leaves_nothing_but_itself_and_is_no_part_of_the_next_one(
    whole: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    whole.copy(home)
    (outside / ".a.tar.databases").mkdir(parents=True)  # of one that was killed
    (outside / ".a.tar.databases" / "movierec.duckdb").write_text("what people rated")
    with opened(home, monkeypatch) as platform:
        back_up(platform.wired, outside / "a.tar")
        assert [path.name for path in outside.iterdir()] == ["a.tar"]
        with pytest.raises(BackupError, match="part of the next backup"):
            back_up(platform.wired, home / "warehouse" / "a.tar")
