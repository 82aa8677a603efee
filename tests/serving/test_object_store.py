"""Versions in an object store that is slow, fails, lies or is cut off: nothing is lost, and no
wrong version is served.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import obstore
import pytest
from pydantic import TypeAdapter, ValidationError

from movierec_serving.bundle import BundleError, PublishedModel
from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.bundle.objects import Address
from movierec_serving.bundle.publications import Publications
from movierec_serving.bundle.shard import Shard
from movierec_serving.bundle.stored import Index
from movierec_serving.errors import ReloadRefusedError, StoreError
from movierec_serving.model.cache import drop_removed
from movierec_serving.model.pointer import Pointer
from movierec_serving.model.reload import begin_on_production, reload
from tests.support import sample_models as models
from tests.support.bucket import LONG, Bucket, Fault, named
from tests.support.endpoint_process import ROOT


@pytest.fixture
def shared(url: str) -> Publications:
    return Publications(ObjectStore(url))


def sound(shared: Publications, version: int, folder: Path) -> bool:
    """Whether there is a version for somebody who comes now; it is whole then, or this fails."""
    index = shared.index(version)
    if index is None:
        return False
    shared.bring(folder, version, index)
    PublishedModel.open(folder, version, verify=True)
    return True


# fault, whether publishing succeeds in spite of it
UPLOADS = [
    (Fault("500", "PUT", times=2), True),
    (Fault("500", "PUT", times=LONG), False),
    (Fault("hang", "PUT", times=1), True),
    (Fault("hang", "PUT", times=LONG), False),
    (Fault("lost answer", "PUT", times=1), True),
    (Fault("lost answer", "PUT", "index.json", times=1), True),
    (Fault("altered upload", "PUT", times=1), True),
    (Fault("altered upload", "PUT", times=LONG), False),
    (Fault("altered upload", "PUT", "index.json", times=1), True),
    (Fault("shortened", "GET", times=1), True),
    (Fault("altered", "GET", times=LONG), False),
    (Fault("404", "HEAD", times=LONG), False),
    (Fault("500", "PUT", "index.json", times=LONG), False),
    (Fault("hang", "PUT", "index.json", times=LONG), False),
]


@pytest.mark.parametrize("case", UPLOADS, ids=named)
def test_a_version_is_seen_whole_or_not_at_all_whatever_its_upload_met(
    server: Bucket, shared: Publications, store: Path, tmp_path: Path, case: tuple[Fault, bool]
) -> None:
    fault, published = case
    publisher = Publications(ObjectStore(shared.store.url, fault.timeout))
    server.faults.append(Fault(**vars(fault)))
    if published:
        publisher.publish(store, 3)
    else:
        with pytest.raises(StoreError):
            publisher.publish(store, 3)
    assert server.hit.is_set()
    server.faults.clear()
    assert sound(shared, 3, tmp_path / "reader") is published
    if not published:
        shared.publish(store, 3)  # the next deployment
        assert sound(shared, 3, tmp_path / "reader")


# fault, whether the endpoint has the version afterwards
DOWNLOADS = [
    (Fault("500", times=2), True),
    (Fault("500", times=LONG), False),
    (Fault("hang", times=1), True),
    (Fault("hang", times=LONG), False),
    (Fault("cut off", times=2), True),
    (Fault("shortened", path="/[0-9a-f]{64}$", times=1), True),
    (Fault("shortened", path="/[0-9a-f]{64}$", times=LONG), False),
    (Fault("altered", path="/[0-9a-f]{64}$", times=1), True),
    (Fault("altered", path="/[0-9a-f]{64}$", times=LONG), False),
    (Fault("shortened", path="index.json", times=LONG), False),
    (Fault("altered", path="index.json", times=LONG), False),
    (Fault("404", path="index.json", times=LONG), False),
    (Fault("404", path="/[0-9a-f]{64}$", times=LONG), False),
]


@pytest.mark.parametrize("case", DOWNLOADS, ids=named)
def test_an_endpoint_serves_the_version_or_the_one_before_whatever_its_download_met(
    server: Bucket, shared: Publications, store: Path, tmp_path: Path, case: tuple[Fault, bool]
) -> None:
    cache, (fault, served) = tmp_path / "elsewhere" / "models", case
    pointer = Pointer.open(cache / ".serving-1")
    shared.publish(store, 3)
    endpoint = Publications(ObjectStore(shared.store.url, fault.timeout))
    server.faults.append(Fault(**vars(fault)))
    if served:
        reload(cache, pointer, 3, shared=endpoint)
    else:
        with pytest.raises(ReloadRefusedError):
            reload(cache, pointer, 3, shared=endpoint)
        assert pointer.load() == 0
        assert [path.name for path in cache.iterdir() if not path.name.startswith(".s")] == []
    assert server.hit.is_set()
    server.faults.clear()
    reload(cache, pointer, 3, shared=shared)  # the next deployment
    assert (cache / "3" / "item_factors.npy").read_bytes() == (
        store / "3" / "item_factors.npy"
    ).read_bytes()


PUBLISH = (
    "import sys; from pathlib import Path\n"
    "from movierec_serving.bundle.object_store import ObjectStore\n"
    "from movierec_serving.bundle.publications import Publications\n"
    "Publications(ObjectStore(sys.argv[1])).publish(Path(sys.argv[2]), 3)"
)


@pytest.mark.parametrize("at", ["item_factors", "index.json"])
def test_a_publisher_killed_in_an_upload_leaves_nothing_to_be_seen_and_the_next_goes_on(
    server: Bucket, shared: Publications, store: Path, tmp_path: Path, at: str
) -> None:
    array = Index.of(store / "3").files["item_factors.npy"].sha256
    server.faults.append(Fault("hang", "PUT", array if at == "item_factors" else at))
    command = [sys.executable, "-c", PUBLISH, shared.store.url, str(store)]
    process = subprocess.Popen(command, cwd=ROOT)
    assert server.hit.wait(20)
    process.kill()
    process.wait()
    assert not sound(shared, 3, tmp_path)
    shared.publish(store, 3)
    assert sound(shared, 3, tmp_path)


def test_no_part_is_there_before_all_parts_are(
    server: Bucket, shared: Publications, store: Path, tmp_path: Path
) -> None:
    pipeline = Publications(shared.store, parts=2)
    parts = [Publications(shared.store, own=shard) for shard in Shard.all_of(2)]
    server.faults.append(Fault("500", "PUT", "of2/2/", times=LONG))
    with pytest.raises(StoreError):
        pipeline.publish(store, 3)
    server.faults.clear()
    assert shared.store.index("models/3/of2/1") is not None
    assert not any(sound(part, 3, tmp_path / "reader") for part in parts)
    pipeline.publish(store, 3)  # the next deployment
    assert all(sound(part, 3, tmp_path / "reader") for part in parts)


@pytest.mark.parametrize("name", ["Thumbs.db", "als_model (copy).npy", "folder"])
def test_what_is_no_file_of_a_model_is_named_and_nothing_is_published(
    shared: Publications, store: Path, tmp_path: Path, name: str
) -> None:
    odd = store / "3" / name
    odd.mkdir() if name == "folder" else odd.touch()
    with pytest.raises(BundleError, match="no file of a model has such a name: take it out") as no:
        shared.publish(store, 3)
    assert str(odd) in str(no.value)
    assert shared.index(3) is None
    odd.rmdir() if name == "folder" else odd.unlink()
    shared.publish(store, 3)
    assert sound(shared, 3, tmp_path)


def test_a_number_has_one_model_and_one_set_of_lists(
    shared: Publications, store: Path, tmp_path: Path
) -> None:
    shared.publish(store, 3)
    there = shared.index(3)
    other = tmp_path / "other host" / "models"
    models.publish_version(other, 3, seed=9)
    with pytest.raises(BundleError, match="version 3 is another model there"):
        shared.publish(other, 3)
    same = tmp_path / "same model" / "models"
    model = models.content(seed=3)
    models.publish(tmp_path / "warehouse" / "bundles" / "model-3", same, 3, {})  # no catalogue
    assert not there.fits(same / "3")
    shared.publish(same, 3)
    assert there.fits(same / "3"), model
    assert shared.index(3) == there


def test_what_was_lost_or_damaged_is_mended_on_either_side(
    shared: Publications, store: Path, tmp_path: Path
) -> None:
    shared.publish(store, 3)
    cache, lost = tmp_path / "elsewhere" / "models", shared.index(3).files["top_items.npy"].sha256
    obstore.delete(shared.store._driver, f"models/3/{lost}")
    pointer = Pointer.open(cache / ".serving-1")
    with pytest.raises(ReloadRefusedError, match="lost, and the index names it"):
        reload(cache, pointer, 3, shared=shared)
    shared.publish(store, 3)
    reload(cache, pointer, 3, shared=shared)
    flip(cache / "3" / "item_factors.npy")
    pointer.store(0)
    assert reload(cache, pointer, 3, shared=shared).changed  # brought again


def test_a_removed_version_is_served_by_nobody_who_did_not_serve_it_already(
    server: Bucket, shared: Publications, store: Path, tmp_path: Path
) -> None:
    models.publish_version(store, 4)
    cache = tmp_path / "elsewhere" / "models"
    pointer = Pointer.open(cache / ".serving-1")
    for version in (3, 4):
        shared.publish(store, version)
        reload(cache, pointer, version, shared=shared)
    server.faults.append(Fault("stale list", "GET", "list-type=2", times=LONG))
    shared.remove(3)
    server.faults.clear()
    assert [*obstore.list(shared.store._driver, "models/3")] == []
    with pytest.raises(ReloadRefusedError, match="version 3 is not in the store"):
        reload(cache, pointer, 3, shared=shared)
    drop_removed(cache, {4}, shared)
    assert not (cache / "3").exists()
    assert (cache / "4").is_dir()


def test_a_full_disk_refuses_the_version_and_leaves_no_part_of_it(
    shared: Publications, store: Path, tmp_path: Path
) -> None:
    shared.publish(store, 3)
    cache = tmp_path / "elsewhere" / "models"
    pointer, before = Pointer.open(cache / ".serving-1"), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(ReloadRefusedError, match="version 3 cannot be kept here: File too"):
            reload(cache, pointer, 3, shared=shared)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [path for path in cache.iterdir() if "3" in path.name]
    assert reload(cache, pointer, 3, shared=shared).changed


def test_while_the_store_is_away_what_is_here_serves_on(
    server: Bucket, shared: Publications, store: Path
) -> None:
    shared.publish(store, 3)
    server.faults.append(Fault("500", times=LONG))
    pointer = Pointer.open(store / ".serving-1")
    assert reload(store, pointer, 3, shared=shared).changed
    with pytest.raises(StoreError):
        begin_on_production(store, Pointer.open(store / ".serving-2"), shared)


def test_a_folder_that_is_mounted_is_a_store(store: Path, tmp_path: Path) -> None:
    address = TypeAdapter(Address).validate_python(str(tmp_path / "a mount"))
    shared = Publications(ObjectStore(address))
    shared.publish(store, 3)
    shared.name_production(3)
    cache = tmp_path / "elsewhere" / "models"
    pointer = Pointer.open(cache / ".serving-1")
    begin_on_production(cache, pointer, shared)
    assert pointer.load() == 3
    shared.remove(3)
    shared.remove(3)
    assert shared.index(3) is None


@pytest.mark.parametrize("address", ["s3://key:secret@bucket", "s3:bucket", "bucket", "ftp://b/x"])
def test_an_address_without_a_known_scheme_or_with_credentials_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="should match pattern"):
        TypeAdapter(Address).validate_python(address)


def flip(path: Path) -> None:
    """Change a bit of a file."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)
