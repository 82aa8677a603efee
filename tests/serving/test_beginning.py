"""A new endpoint begins with the version that its store names, by the rules of any reload."""

import shutil
from pathlib import Path

import pytest

from movierec_serving.bundle import name_production, named_production
from movierec_serving.model.pointer import Pointer
from movierec_serving.model.reload import KEPT_VERSIONS, begin_on_production, reload
from tests.support import sample_models as models
from tests.support.endpoint_process import EndpointProcess


def test_a_new_endpoint_serves_what_its_store_names_from_its_first_answer(
    fresh: EndpointProcess,
) -> None:
    name_production(fresh.store, 3)
    fresh.start()
    assert fresh.client.get("/model").json()["version"] == 3
    assert fresh.client.get("/health/ready").status_code == 200
    assert "committed version 3, after none" in fresh.log.read_text()
    assert 'movierec_reloads_total{result="changed"} 1' in fresh.client.get("/metrics").text


def test_a_committed_version_is_kept_whatever_the_store_names(store: Path) -> None:
    models.publish_version(store, 4)
    pointer = Pointer.open(store / ".serving-1")
    reload(store, pointer, 3)  # as after a rollback by hand
    name_production(store, 4)
    begin_on_production(store, pointer)
    assert pointer.load() == 3


@pytest.mark.parametrize("damage", ["flipped", "gone"])
def test_a_named_version_that_is_not_sound_is_not_begun_with(store: Path, damage: str) -> None:
    name_production(store, 3)
    if damage == "gone":
        shutil.rmtree(store / "3")
    else:
        array = store / "3" / "item_factors.npy"
        content = bytearray(array.read_bytes())
        content[-1] ^= 1
        array.unlink()
        array.write_bytes(content)
    pointer = Pointer.open(store / ".serving-1")
    begin_on_production(store, pointer)
    assert pointer.load() == 0


@pytest.mark.parametrize("content", [b"", b"three\n", b"-1\n", b"\xff\n"])
def test_a_damaged_name_names_nothing(store: Path, content: bytes) -> None:
    (store / "production").write_bytes(content)
    assert named_production(store) is None


def test_the_named_version_is_never_cleared_away(store: Path) -> None:
    shutil.rmtree(store / "3")
    last = KEPT_VERSIONS + 2
    for version in range(1, last + 1):
        models.publish_version(store, version)
    name_production(store, 1)
    reload(store, Pointer.open(store / ".serving-1"), last)
    assert (store / "1").is_dir()
    assert not (store / "2").exists()
