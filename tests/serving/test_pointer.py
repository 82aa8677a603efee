"""The committed version is one number, seen by every process, and what a holder has open follows
it.
"""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from movierec_serving.errors import ModelUnavailableError, PointerError, ReloadRefusedError
from movierec_serving.model.holder import ModelHolder
from movierec_serving.model.pointer import Pointer
from movierec_serving.model.reload import last_reload, reload
from tests.support import sample_models as models


def test_a_new_pointer_says_none_yet(tmp_path: Path) -> None:
    assert Pointer.open(tmp_path / "deep" / "pointer").load() == 0
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["pointer"]
    assert (tmp_path / "deep" / "pointer").stat().st_size == 8


def test_a_store_is_seen_by_other_mappings_other_processes_and_later(tmp_path: Path) -> None:
    path = tmp_path / "pointer"
    writer, reader = Pointer.open(path), Pointer.open(path)
    for version in (1, 2**63 - 1, 7):
        writer.store(version)
        assert reader.load() == version
    code = (
        "from movierec_serving.model.pointer import *; import sys; "
        "print(Pointer.open(Path(sys.argv[1])).load())"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert other.stdout == "7\n"
    assert path.read_bytes() == (7).to_bytes(8, sys.byteorder)


@pytest.mark.parametrize("content", [b"", b"1234567", b"123456789"])
def test_a_file_that_is_no_pointer_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pointer").write_bytes(content)
    with pytest.raises(PointerError, match=f"{len(content)} bytes, a pointer has 8"):
        Pointer.open(tmp_path / "pointer")


def test_many_that_start_at_once_share_one_pointer(tmp_path: Path) -> None:
    path, barrier, pointers = tmp_path / "pointer", threading.Barrier(8), []

    def start() -> None:
        barrier.wait()
        pointers.append(Pointer.open(path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pointers[0].store(5)
    assert [pointer.load() for pointer in pointers] == [5] * 8


@pytest.fixture
def holder(store: Path) -> ModelHolder:
    return ModelHolder(store, store / ".serving-1")


def test_a_holder_follows_the_pointer_and_a_request_keeps_its_model(
    store: Path, holder: ModelHolder
) -> None:
    models.publish_version(store, 4)
    holder.pointer.store(3)
    third = holder.current()
    assert holder.current() is third
    holder.pointer.store(4)
    assert holder.current().version == 4
    shutil.rmtree(store / "3")
    assert third.version == 3
    assert third.top_items[0].any()  # its pages are still there


def test_a_holder_says_why_it_has_no_model_and_tries_again(
    store: Path, holder: ModelHolder
) -> None:
    with pytest.raises(ModelUnavailableError, match="no model version has been deployed yet"):
        holder.current()
    holder.pointer.store(4)
    with pytest.raises(
        ModelUnavailableError, match=r"version 4 is committed and cannot be opened$"
    ):
        holder.current()
    models.publish_version(store, 4)
    assert holder.current().version == 4


def test_a_process_that_cannot_open_what_is_committed_gives_way_after_a_while(store: Path) -> None:
    gone: list[bool] = []
    holder = ModelHolder(store, store / ".serving-1", give_up=lambda: gone.append(True), patience=0)
    holder.pointer.store(4)
    for _ in range(2):
        with pytest.raises(ModelUnavailableError):
            holder.current()
    assert gone == [True]
    models.publish_version(store, 4)
    assert holder.current().version == 4
    holder.pointer.store(5)
    with pytest.raises(ModelUnavailableError):
        holder.current()
    assert gone == [True]  # anew: a first failure is no reason


def test_a_committed_version_that_vanishes_is_no_reason_to_serve_another(
    store: Path, holder: ModelHolder
) -> None:
    holder.pointer.store(3)
    assert holder.current().version == 3
    holder.pointer.store(9)
    with pytest.raises(ModelUnavailableError, match="version 9"):
        holder.current()


def test_a_reload_that_is_refused_changes_nothing(store: Path, holder: ModelHolder) -> None:
    pointer = holder.pointer
    assert reload(store, pointer, 3).previous is None
    models.publish_version(store, 5)
    (store / "5" / "top_scores.npy").unlink()
    with pytest.raises(ReloadRefusedError, match=r"top_scores\.npy: missing"):
        reload(store, pointer, 5)
    with pytest.raises(ReloadRefusedError, match="version 6 is not in the store"):
        reload(store, pointer, 6)
    assert holder.current().version == 3
    assert (last := last_reload(pointer.path)) is not None
    assert (last["version"], last["result"], last["cause"]) == (
        6,
        "missing",
        "version 6 is not in the store",
    )


def test_a_reload_is_refused_where_it_could_not_reach_every_process(
    store: Path, holder: ModelHolder
) -> None:
    """Whoever has the old file mapped would never see what is stored in the new one."""
    reload(store, holder.pointer, 3)
    models.publish_version(store, 4)
    holder.pointer.path.unlink()
    for _ in range(2):
        with pytest.raises(ReloadRefusedError, match="replaced: restart the endpoint"):
            reload(store, holder.pointer, 4)
        Pointer.open(holder.pointer.path).store(3)  # as restored from a copy
    assert holder.current().version == 3


def test_a_version_whose_lists_are_not_what_its_factors_say_is_refused(
    store: Path, holder: ModelHolder
) -> None:
    """Sound by every hash, and wrong: only the canaries can tell."""
    import json

    import numpy as np

    from movierec_serving.bundle.array_files import write_array
    from movierec_serving.bundle.documents import seal

    path = store / "3"
    items = np.load(path / "top_items.npy")
    (path / "top_items.npy").unlink()
    items[:-1, :5] = 39 - np.arange(5)  # the same for everybody
    entry = write_array(path, "top_items.npy", items)
    document = json.loads((path / "publication.json").read_text())
    document.pop("checksum")
    document["files"]["top_items.npy"] = entry.model_dump(mode="json")
    (path / "publication.json").write_text(seal(document))
    with pytest.raises(ReloadRefusedError, match="the list of user row"):
        reload(store, holder.pointer, 3)
    assert holder.pointer.load() == 0


def test_the_store_keeps_the_newest_versions_and_what_is_committed(
    store: Path, holder: ModelHolder
) -> None:
    other = Pointer.open(store / ".serving-9999")
    other.store(4)  # of an endpoint on another port
    for version in range(4, 19):
        models.publish_version(store, version)
    for version in (3, 18):
        reload(store, holder.pointer, version)
    kept = {int(path.name) for path in store.iterdir() if path.name.isdecimal()}
    assert kept == {3, 4, *range(9, 19)}
    assert holder.current().version == 18
