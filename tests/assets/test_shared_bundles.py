"""Trained models in an object store that fails, lies or is cut off: none is seen in part, a home
that lost them goes on from those there, and what is removed here is gone there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from movierec_assets.cli.app import app
from movierec_assets.cli.verify import verify
from movierec_assets.maintenance.prune import plan_prune, prune
from movierec_assets.resources.stores.bundle_store import BundleStore
from movierec_assets.resources.stores.shared_bundles import SharedBundles
from movierec_assets.settings import settings
from movierec_serving.bundle import Bundle, StoreError
from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.bundle.objects import TIMEOUT
from tests.conftest import ROOT, Platform, empty_home
from tests.support import sample_models
from tests.support.bucket import LONG, Bucket, Fault, altered, named
from tests.support.generate import days_from
from tests.support.homes import Home, opened, state

INDEX = "bundles/index.json"
OWN_INDEX = "bundles/[0-9a-f]{64}/index.json"
ARRAY = "bundles/[0-9a-f]{64}/[0-9a-f]{64}$"
FIRST, SECOND = "1" * 64, "2" * 64


def filled(root: Path, *identities: str) -> BundleStore:
    store = BundleStore(root=str(root))
    for seed, identity in enumerate(identities):
        for half, path in enumerate((store.served(identity), store.twin(identity))):
            model = sample_models.content(seed=2 * seed + half)
            sample_models.write(path, model, identity=identity)
    return store


def copy(url: str, root: Path, timeout: float = TIMEOUT) -> SharedBundles:
    return SharedBundles(ObjectStore(url, timeout), root)


def files(root: Path) -> dict[str, bytes]:
    """Every file of bundles and twins, also of those that are half there."""
    found = [file for name in ("bundles", "twins") for file in (root / name).rglob("*")]
    return {
        file.relative_to(root).as_posix(): file.read_bytes() for file in found if file.is_file()
    }


# fault, whether the models are sent in spite of it
UPLOADS = [
    (Fault("500", "PUT", times=2), True),
    (Fault("500", "PUT", times=LONG), False),
    (Fault("hang", "PUT", ARRAY, times=LONG), False),
    (Fault("lost answer", "PUT", ARRAY), True),
    (Fault("altered upload", "PUT", ARRAY), True),
    (Fault("altered upload", "PUT", ARRAY, times=LONG), False),
    (Fault("altered upload", "PUT", OWN_INDEX), True),
    (Fault("lost answer", "PUT", OWN_INDEX), True),
    (Fault("500", "PUT", OWN_INDEX, times=LONG), False),
    (Fault("altered upload", "PUT", f"{INDEX}$"), True),
    (Fault("500", "PUT", f"{INDEX}$", times=LONG), False),
    (Fault("altered", "GET", ARRAY, times=LONG), False),
    (Fault("404", "HEAD", times=LONG), False),
]


@pytest.mark.parametrize("case", UPLOADS, ids=named)
def test_a_model_is_there_whole_or_not_at_all_whatever_its_upload_met(
    server: Bucket, url: str, tmp_path: Path, case: tuple[Fault, bool]
) -> None:
    filled(tmp_path / "home", FIRST)
    shared, (fault, sent) = copy(url, tmp_path / "home"), case
    hasty = copy(url, tmp_path / "home", fault.timeout)
    server.faults.append(Fault(**vars(fault)))
    if sent:
        assert hasty.send() == 2
    else:
        with pytest.raises(StoreError):
            hasty.send()
    assert server.hit.is_set()
    server.faults.clear()
    assert copy(url, tmp_path / "lost then").bring() == (2 if sent else 0)
    assert shared.send() == (0 if sent else 2)  # the next run
    copy(url, new := tmp_path / "lost later").bring()
    assert files(new) == files(tmp_path / "home") != {}
    assert shared.differences() == ([], [])


# fault, whether the models are brought in spite of it
DOWNLOADS = [
    (Fault("500", times=2), True),
    (Fault("500", path=ARRAY, times=LONG), False),
    (Fault("hang", path=ARRAY, times=LONG), False),
    (Fault("cut off", path=ARRAY, times=2), True),
    (Fault("altered", path=ARRAY), True),
    (Fault("altered", path=ARRAY, times=LONG), False),
    (Fault("altered", path=OWN_INDEX, times=LONG), False),
    (Fault("404", path=OWN_INDEX, times=LONG), False),
    (Fault("404", path=ARRAY, times=LONG), False),
]


@pytest.mark.parametrize("case", DOWNLOADS, ids=named)
def test_a_model_is_here_whole_or_not_at_all_whatever_its_download_met(
    server: Bucket, url: str, tmp_path: Path, case: tuple[Fault, bool]
) -> None:
    filled(tmp_path / "home", FIRST)
    copy(url, tmp_path / "home").send()
    new, (fault, brought) = tmp_path / "another disk", case
    server.faults.append(Fault(**vars(fault)))
    if brought:
        assert copy(url, new, fault.timeout).bring() == 2
    else:
        with pytest.raises(StoreError):
            copy(url, new, fault.timeout).bring()
        assert files(new) == {}
    assert server.hit.is_set()
    server.faults.clear()
    copy(url, new).bring()
    assert files(new) == files(tmp_path / "home")


SEND = (
    "import sys; from movierec_assets.resources.stores.bundle_store import BundleStore\n"
    "BundleStore(root=sys.argv[1], object_store=sys.argv[2]).share()"
)


@pytest.mark.parametrize("at", [ARRAY, OWN_INDEX, f"{INDEX}$"])
def test_a_sender_killed_in_an_upload_leaves_nothing_to_be_seen_and_the_next_goes_on(
    server: Bucket, url: str, tmp_path: Path, at: str
) -> None:
    filled(tmp_path / "home", FIRST)
    server.faults.append(Fault("hang", "PUT", at))
    process = subprocess.Popen([sys.executable, "-c", SEND, str(tmp_path / "home"), url], cwd=ROOT)
    assert server.hit.wait(60)
    process.kill()
    process.wait()
    server.faults.clear()
    shared = copy(url, tmp_path / "home")
    assert shared.contents().files == {}
    assert (shared.send(), shared.send()) == (2, 0)
    assert copy(url, tmp_path / "new").bring() == 2


def test_a_damaged_model_is_not_sent_and_one_that_was_made_again_is(
    url: str, tmp_path: Path
) -> None:
    store, shared = filled(tmp_path / "home", FIRST, SECOND), copy(url, tmp_path / "home")
    array = store.served(FIRST) / "item_factors.npy"
    array.write_bytes(altered(array.read_bytes()))
    (store.twin(FIRST) / "notes.txt").write_text("somebody's")
    assert shared.send() == 2
    assert {path[-64:] for path in shared.contents().files} == {SECOND}
    filled(tmp_path / "home", FIRST)  # as its day's run does
    (store.twin(FIRST) / "notes.txt").unlink()
    assert shared.send() == 2
    shutil.rmtree(store.served(FIRST))
    again = sample_models.content(seed=99)  # other bytes, as on another machine
    sample_models.write(store.served(FIRST), again, identity=FIRST)
    assert (shared.send(), shared.send()) == (1, 0)
    assert copy(url, tmp_path / "new").bring() == 4
    assert files(tmp_path / "new") == files(tmp_path / "home")
    folders = {name.split("/")[1] for name in shared.store.listed("bundles")}
    assert len(folders) == 5  # the index, and no byte of the one before


def test_what_is_removed_here_leaves_no_byte_in_the_store(
    server: Bucket, url: str, tmp_path: Path
) -> None:
    filled(tmp_path / "home", FIRST, SECOND)
    store = BundleStore(root=str(tmp_path / "home"), object_store=url)
    assert (store.share(), store.bring()) == (4, 0)
    gone = [store.served(FIRST), store.twin(FIRST)]
    server.faults.append(Fault("500", "PUT", times=LONG))
    with pytest.raises(StoreError):
        store.remove(gone)
    assert store.complete(FIRST)  # or nobody would ask for it again
    server.faults.clear()
    server.faults.append(Fault("stale list", "GET", "list-type=2", times=LONG))
    store.remove(gone)
    server.faults.clear()
    assert not store.complete(FIRST)
    there = ObjectStore(url)
    assert len({name.split("/")[1] for name in there.listed("bundles")}) == 3
    there.write(f"bundles/{'a' * 64}/{'b' * 64}", b"of a killed writer")
    assert store.shared.send(every=True) == 0
    assert len({name.split("/")[1] for name in there.listed("bundles")}) == 3
    shutil.rmtree(store.served(SECOND))
    with pytest.raises(StoreError, match="1 of its files are not here"):
        store.shared.send(every=True)  # nobody looked whom it knows
    assert BundleStore(root=str(tmp_path / "home")).share() == 0


def test_another_homes_models_are_left_alone(url: str, tmp_path: Path) -> None:
    filled(tmp_path / "home", FIRST)
    copy(url, tmp_path / "home").send()
    filled(tmp_path / "other", SECOND)
    for refused in (copy(url, tmp_path / "other").send, copy(url, tmp_path / "other").bring):
        (tmp_path / "other" / "chunks").mkdir(exist_ok=True)
        (tmp_path / "other" / "chunks" / "copy.id").write_text("0" * 32)
        with pytest.raises(StoreError, match="the bundles there are another home's"):
            refused()


@pytest.fixture
def mounted(whole: Home, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """The whole home, where version 3 alone was published, with all that it has in a store."""
    shutil.rmtree(home)
    whole.copy(home)
    (home / ".env").write_text(f"MOVIEREC_STORE={home / 'mounted'}\n")
    with opened(home, monkeypatch) as platform:
        yield platform


def movierec(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "300"})


def test_a_home_that_lost_its_disk_goes_on_warm_and_trains_no_model_again(
    mounted: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "8 bundles and twins are not in file://" in movierec("status").output
    movierec("recover", "--apply")
    first, second = days_from("1998-04-03", 2)
    mounted.deliver(first)
    assert mounted.run(first).success
    assert mounted.bundle_store.shared.differences() == ([], [])
    before, models = state(mounted), files(mounted.root)
    new = empty_home(tmp_path / "another disk")
    shutil.copy(mounted.home / ".env", new)
    with opened(new, monkeypatch) as platform:
        assert "10 bundles and twins of file://" in movierec("recover").output
        done = movierec("recover", "--apply")
        assert "als_model is materialized" not in done.output
        assert state(platform) == before, done.output
        assert files(platform.root) == models
        artifacts = list((platform.root / "mlflow").rglob("manifest.json"))
        assert len(artifacts) == 5  # of all versions, published or not
        platform.deliver(second)
        assert platform.run(second).success
        newest = platform.model_registry.versions()[-1]
        assert Bundle.open(platform.bundle_store.served(newest.identity)).manifest.fit == "warm"
        rebuilt = verify(settings(), newest.number, since=first)
        assert [one.identical for one in rebuilt] == [True, True]
        assert ", 12 bundles and twins, " in movierec("status").output


def test_a_store_that_is_away_stops_no_training_and_has_the_model_after_the_next(
    mounted: Platform,
) -> None:
    first, second = days_from("1998-04-03", 2)
    place = mounted.home / "mounted"
    place.write_text("no folder")
    mounted.deliver(first)
    assert mounted.run(first).success
    place.unlink()
    mounted.deliver(second)
    assert mounted.run(second).success
    assert mounted.bundle_store.shared.differences() == ([], [])
    assert len(mounted.bundle_store.shared.contents().files) == 12


KILLED = """
import os, sys
from movierec_assets.maintenance import prune as it
from movierec_assets.platform import wired
from movierec_assets.resources.registry.model_registry import ModelRegistry
from movierec_assets.resources.stores import bundle_store
from movierec_assets.resources.stores.shared_bundles import SharedBundles
after = sys.argv[1]
places = {"remove_folder": bundle_store, "finish_removal": ModelRegistry}
where = places.get(after, SharedBundles)
whole = getattr(where, after)
def killed(*given):
    whole(*given)
    os.kill(os.getpid(), 9)
setattr(where, after, killed)
it.prune(wired(), it.plan_prune(wired(), 2), "pruned today")
"""


@pytest.mark.parametrize(
    "after", ["_write", "_delete", "_change", "remove_folder", "finish_removal"]
)
def test_what_a_killed_prune_left_in_the_store_goes_with_the_next(
    mounted: Platform, after: str
) -> None:
    for folder in (mounted.chunk_archive, mounted.wired.home_files, mounted.bundle_store):
        folder.share()
    mounted.model_registry.change("unpin", 3, "a test")
    mounted.model_registry.change("unrevoke", 4, "a test")
    identity = mounted.model_registry.get(2).identity
    done = subprocess.run(
        [sys.executable, "-c", KILLED, after],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == -9
    prune(mounted.wired, plan_prune(mounted.wired, 2), "pruned today")
    copy = mounted.bundle_store.shared
    assert not any(path.endswith(identity) for path in copy.contents().files)
    assert copy.differences() == ([], [])
    there = {name.split("/")[1] for name in copy.store.listed("bundles")}
    assert there == {"index.json", *copy.contents().objects}
