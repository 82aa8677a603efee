"""What a prune keeps, what it removes, and that a kill in between is finished by the next."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from movierec_assets.cli.app import app
from movierec_assets.cli.verify import verify
from movierec_assets.defs.maintenance import prune_weekly
from movierec_assets.errors import ChangeError, RemovedError
from movierec_assets.maintenance.prune import plan_prune, prune
from movierec_assets.maintenance.retention import kept_versions, with_parents
from movierec_assets.promotion.version import Version
from movierec_assets.settings import settings
from tests.conftest import Platform
from tests.support.generate import days_from
from tests.support.homes import DAYS, Home, opened


def version(number: int, day: str, **tags: str) -> Version:
    return Version(number, f"i{number}", day, "", {"gate": "passed", "fit": "warm", **tags})


def test_production_pinned_served_newest_and_one_a_month_stay() -> None:
    days = days_from("1998-01-30", 40)
    versions = [
        version(n, day, fit="cold" if day.endswith("-01") or n == 1 else "warm")
        for n, day in enumerate(days, start=1)
    ]
    versions[9] = version(10, days[9], pinned="liked")
    kept = kept_versions(versions, newest=3, production=10, served=[12])
    assert {number: reason.split()[0] for number, reason in kept.items()} == {
        1: "the",  # of January
        3: "the",  # of February
        31: "the",  # of March, the anchor
        10: "production",
        12: "served",
        38: "one",
        39: "one",
        40: "the",  # what the next challenger is compared with
    }


def test_a_model_that_stays_keeps_those_it_was_started_from() -> None:
    parents = {"c": "b", "b": "a", "a": None, "z": "y"}
    assert with_parents({"c"}, parents) == {"a", "b", "c"}
    assert with_parents({"z"}, parents) == {"z", "y"}


@pytest.fixture
def grown(whole: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The whole home, nothing pinned or revoked: version 4 is production."""
    folder = tmp_path / "grown"
    whole.copy(folder)
    with opened(folder, monkeypatch) as platform:
        platform.model_registry.change("unpin", 3, "a test")
        platform.model_registry.change("unrevoke", 4, "a test")
        platform.run("-", job="deploy")
        assert platform.model_registry.production().number == 4
    return folder


def test_a_dry_run_removes_nothing_and_names_what_goes(
    grown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(grown, monkeypatch) as platform:
        done = CliRunner().invoke(app, ["prune", "--keep", "2"])
        assert done.exit_code == 0, done.output
        assert "stays: version 4, production" in done.output
        assert "goes:  version 2, data until 1998-03-31" in done.output
        assert "this was a dry run" in done.output
        assert [one.number for one in platform.model_registry.versions()] == [1, 2, 3, 4]


def test_what_is_pruned_is_gone_and_says_so_and_the_rest_works(
    grown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(grown, monkeypatch) as platform:
        gone = platform.model_registry.get(2)
        artifacts = platform.model_registry.artifacts(2)
        assert CliRunner().invoke(app, ["prune", "--keep", "2", "--apply"]).exit_code == 0
        assert_pruned(platform, gone.identity)
        assert not Path(str(artifacts).removeprefix("file://")).exists()
        for command in (["lineage", "2"], ["verify", "2"]):
            said = CliRunner().invoke(app, command)
            assert said.exit_code == 1
            assert "version 2 was removed: pruned " in said.output + said.stderr
        with pytest.raises(RemovedError, match="pruned"):
            platform.model_registry.get(2)
        with pytest.raises(ChangeError, match="it was removed"):
            platform.model_registry.change("pin", 2, "back")
        assert all(one.identical for one in verify(settings(), 4, since=DAYS[2]))
        platform.deliver(day := "1998-04-03")
        assert platform.run(day).success
        newest = platform.model_registry.versions()[-1]
        assert (newest.number, newest.gate) == (5, "passed")
        platform.run("-", job="deploy")
        assert CliRunner().invoke(app, ["recover"]).output.endswith("nothing is lost\n")


def assert_pruned(platform: Platform, identity: str) -> None:
    assert [one.number for one in platform.model_registry.versions()] == [1, 3, 4]
    assert not platform.bundle_store.served(identity).exists()
    assert not platform.bundle_store.twin(identity).exists()
    assert not (platform.root / "models" / "2").exists()
    assert platform.model_registry.records.get(2).tags["files_gone"] == "true"


@pytest.mark.parametrize("after", ["announce_removal", "remove_folder", "finish_removal"])
def test_a_killed_prune_is_finished_by_the_next(
    grown: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    program = (
        "import os, sys\n"
        "from movierec_assets.maintenance import prune as it\n"
        "from movierec_assets.platform import wired\n"
        "from movierec_assets.resources.stores import bundle_store\n"
        "platform, after = wired(), sys.argv[1]\n"
        "plan = it.plan_prune(platform, 2)\n"
        "where = bundle_store if after == 'remove_folder' else type(platform.model_registry)\n"
        "whole = getattr(where, after)\n"
        "def killed(*given):\n"
        "    whole(*given)\n"
        "    os.kill(os.getpid(), 9)\n"
        "setattr(where, after, killed)\n"
        "it.prune(platform, plan, 'pruned today')\n"
    )
    with opened(grown, monkeypatch) as platform:
        identity = platform.model_registry.get(2).identity
        done = subprocess.run(
            [sys.executable, "-c", program, after],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            check=False,
        )
        assert done.returncode == -9
        prune(platform.wired, plan_prune(platform.wired, 2), "pruned today")
        assert_pruned(platform, identity)


def test_a_model_without_a_version_goes_after_a_day(
    grown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(grown, monkeypatch) as platform:
        source = platform.bundle_store.served(platform.model_registry.get(1).identity)
        fresh, old = (platform.root / "bundles" / name for name in ("fresh", "old"))
        for folder in (fresh, old):
            shutil.copytree(source, folder)
        os.utime(fresh)
        os.utime(old, (0, 0))
        prune(platform.wired, plan_prune(platform.wired, 30), "pruned today")
        assert fresh.exists()
        assert not old.exists()


def test_the_weekly_prune_says_what_it_would_remove_and_removes_it_where_that_is_set(
    whole: Home, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(home)
    whole.copy(home)
    with opened(home, monkeypatch) as platform:
        monkeypatch.setenv("MOVIEREC_KEEP_VERSIONS", "2")
        settings.cache_clear()
        due = plan_prune(platform.wired, 2).versions
        assert due
        with dg.build_schedule_context(platform.instance) as context:
            (request,) = prune_weekly.evaluate_tick(context).run_requests
        assert request.run_config == {}  # so that the setting decides
        before = platform.model_registry.versions()
        assert platform.run("-", job="prune_job").success
        assert platform.model_registry.versions() == before
        monkeypatch.setenv("MOVIEREC_PRUNE", "1")
        settings.cache_clear()
        assert platform.run("-", job="prune_job").success
        left = {one.number for one in platform.model_registry.versions()}
        assert left == {one.number for one in before} - {one.number for one in due}
