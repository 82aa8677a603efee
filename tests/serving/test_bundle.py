"""A bundle is what was written, whole and sound, or refused with the reason."""

import json
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from movierec_serving.bundle import Bundle, BundleError, Manifest
from movierec_serving.bundle.documents import seal
from movierec_serving.bundle.files import LEFTOVER_AGE, staged_directory
from movierec_serving.bundle.manifest import FORMAT_VERSION, MANIFEST
from tests.support import sample_models as models


@pytest.fixture
def path(tmp_path: Path) -> Path:
    models.write(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_what_was_written_is_read(path: Path) -> None:
    model, bundle = models.content(), Bundle.open(path, verify=True)
    for name in ("user_factors", "item_factors"):
        np.testing.assert_array_equal(bundle.family.arrays[name], model.own[name])
    for name in (
        "seen_indptr",
        "seen_items",
        "seen_ratings",
        "popularity",
    ):
        np.testing.assert_array_equal(getattr(bundle, name), getattr(model, name))
    assert [bundle.user_id(row) for row in range(12)] == list(model.user_ids)
    assert [bundle.item_id(row) for row in range(40)] == list(model.item_ids)
    assert bundle.manifest.identity == "model-1"
    assert bundle.manifest.counts == {"users": 12, "items": 40, "interactions": 139, "factors": 4}
    assert bundle.manifest.partitions == (("1998-04-21", "abc+1"), ("1998-04-22", "def+1"))
    assert Manifest.from_json(bundle.manifest.to_json(), MANIFEST) == bundle.manifest
    assert not bundle.family.arrays["user_factors"].flags.writeable


def test_a_user_knows_what_they_have_seen(path: Path) -> None:
    bundle = Bundle.open(path)
    assert bundle.seen(0).tolist() == []
    assert bundle.seen(11).tolist() == list(range(1, 40))


def test_every_id_is_found_at_its_row(path: Path) -> None:
    bundle = Bundle.open(path)
    assert [bundle.user_row(id_) for id_ in models.content().user_ids] == list(range(12))
    assert [bundle.item_row(id_) for id_ in models.content().item_ids] == list(range(40))


@pytest.mark.parametrize(
    "id_",
    [
        "",
        "u",
        "u99",
        "zzz",
        "U1",
        "u1\0",
        "\0",
        "ünïcodé",
        "ünïcode+",
        "u1" * 99,
        "é" * 10**6,
        "\ud800",
    ],
)
def test_an_unknown_id_has_no_row(path: Path, id_: str) -> None:
    assert Bundle.open(path).user_row(id_) is None


def test_the_longest_id_of_the_widest_characters_is_found(tmp_path: Path) -> None:
    ids = models.by_bytes(["😀" * 64, *models.content().user_ids[1:]])
    models.write(tmp_path / "b", models.content(user_ids=ids))
    assert Bundle.open(tmp_path / "b", verify=True).user_row("😀" * 64) == 11


def test_a_model_without_interactions_is_a_model(tmp_path: Path) -> None:
    none = np.empty(0)
    nothing = {
        "seen_items": none,
        "seen_ratings": none,
        "seen_confidence": none,
        "seen_indptr": np.zeros(13),
    }
    models.write(tmp_path / "b", models.content(**nothing))
    assert Bundle.open(tmp_path / "b", verify=True).seen(3).tolist() == []


def _rewrite(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[Path], None]:
    """Replace an array, its manifest made to fit: only what the values mean can give it away."""

    def corrupt(path: Path) -> None:
        from movierec_serving.bundle.array_files import write_array

        array = change(np.load(path / f"{name}.npy"))
        (path / f"{name}.npy").unlink()
        entry = write_array(path, f"{name}.npy", array)
        document = json.loads((path / "manifest.json").read_text())
        document.pop("checksum")
        document["files"][f"{name}.npy"] = entry.model_dump(mode="json")
        (path / "manifest.json").write_text(seal(document))

    return corrupt


def _set(index: Any, value: Any) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[index] = value
        return array

    return change


def _manifest(**changed: Any) -> Callable[[Path], None]:
    def corrupt(path: Path) -> None:
        document = json.loads((path / "manifest.json").read_text())
        document.pop("checksum")
        (path / "manifest.json").write_text(seal({**document, **changed}))

    return corrupt


def _flip_byte(path: Path) -> None:
    raw = bytearray((path / "item_factors.npy").read_bytes())
    raw[-5] ^= 1
    (path / "item_factors.npy").write_bytes(raw)


def _truncate(path: Path) -> None:
    os.truncate(path / "user_factors.npy", 200)


def _pickle_inside(path: Path) -> None:
    target = path / "popularity.npy"
    size = target.stat().st_size
    np.save(target, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    target.write_bytes(target.read_bytes().ljust(size, b"\0")[:size])


def _plain_pickle(path: Path) -> None:
    target = path / "popularity.npy"
    target.write_bytes(pickle.dumps([1, 2]).ljust(target.stat().st_size, b"\0"))


ENTRY = {"sha256": "0", "bytes": 0, "dtype": "<f4", "shape": []}
CHEAP = {  # seen by opening alone
    "missing file": (lambda p: (p / "seen_items.npy").unlink(), "seen_items.npy: missing"),
    "no manifest": (lambda p: (p / "manifest.json").unlink(), "manifest.json: No such file"),
    "truncated": (_truncate, "user_factors.npy: 200 bytes"),
    "objects in an array": (_pickle_inside, "popularity.npy: not a readable .npy"),
    "pickle": (_plain_pickle, "popularity.npy: not a readable .npy"),
    "other format": (
        _manifest(format_version=FORMAT_VERSION + 1),
        "format version 3, this program reads 1 and 2",
    ),
    "manifest is a list": (
        lambda p: (p / "manifest.json").write_text("[]"),
        "must be of type dict",
    ),
    "manifest is torn": (lambda p: os.truncate(p / "manifest.json", 99), "not JSON"),
    "manifest altered": (
        lambda p: (p / "manifest.json").write_text(
            (p / "manifest.json").read_text().replace("-22", "-23")
        ),
        "altered, its checksum",
    ),
    "path out of the bundle": (_manifest(files={"../../x.npy": ENTRY}), "files must be"),
    "seed is text": (_manifest(seed="7"), "manifest.json: seed: Input should be a valid integer"),
    "seed is true": (_manifest(seed=True), "manifest.json: seed: Input should be a valid integer"),
    "no such day": (_manifest(data_until="1998-02-30"), "data_until: .* day is out of range"),
    "no such fit": (_manifest(fit="hot"), "fit: Input should be 'cold' or 'warm'"),
    "partition is one text": (
        _manifest(partitions=["1998-04-21"]),
        "partitions.0: Input should be a valid (tuple|array)",
    ),
    "unknown field": (_manifest(note="x"), "note: Extra inputs are not permitted"),
    "no counts": (_manifest(counts={}), "counts must be of"),
    "count does not fit": (
        _manifest(counts={"users": 13, "items": 40, "interactions": 139, "factors": 4}),
        "user_factors has shape",
    ),
    "wrong shape": (_rewrite("popularity", lambda a: a[:-1]), "popularity has shape .39,."),
    "wrong dtype": (
        _rewrite("user_factors", lambda a: a.astype(float)),
        "user_factors has dtype <f8",
    ),
    "big endian": (_rewrite("seen_items", lambda a: a.astype(">i4")), "seen_items has dtype >i4"),
}
THOROUGH = {  # seen when every byte is read
    "flipped byte": (_flip_byte, "item_factors.npy: altered"),
    "NaN": (_rewrite("user_factors", _set((3, 1), np.nan)), "user_factors: not finite"),
    "huge factor": (
        _rewrite("item_factors", _set((3, 1), 1e20)),
        "item_factors: not finite, or beyond",
    ),
    "item out of range": (_rewrite("seen_items", _set(-1, 40)), "seen_items: outside 0..39"),
    "negative item": (_rewrite("seen_items", _set(0, -1)), "seen_items: outside 0..39"),
    "unsorted items": (
        _rewrite("seen_items", _set(slice(0, 2), [5, 5])),
        "seen_items: not ascending",
    ),
    "pointers fall": (_rewrite("seen_indptr", _set(2, 139)), "seen_indptr: does not rise"),
    "pointers stop early": (_rewrite("seen_indptr", _set(-1, 100)), "seen_indptr: does not rise"),
    "ids not sorted": (_rewrite("user_ids", _set(0, b"zz")), "user_ids: not unique and ascending"),
    "id twice": (_rewrite("item_ids", _set(0, b"m1")), "item_ids: not unique and ascending"),
    "id not UTF-8": (_rewrite("item_ids", _set(-1, b"\xff\xff")), "item_ids: an id is not"),
    "popularity order": (
        _rewrite("popular_items", lambda a: a[::-1]),
        "popular_items: not the order",
    ),
    "negative popularity": (_rewrite("popularity", _set(0, -1)), "popularity: negative"),
}


@pytest.mark.parametrize(("corrupt", "cause"), CHEAP.values(), ids=CHEAP)
def test_a_broken_bundle_is_refused_at_opening(
    path: Path, corrupt: Callable[[Path], None], cause: str
) -> None:
    corrupt(path)
    with pytest.raises(BundleError, match=cause):
        Bundle.open(path)


@pytest.mark.parametrize(("corrupt", "cause"), THOROUGH.values(), ids=THOROUGH)
def test_an_altered_bundle_is_refused_by_verification(
    path: Path, corrupt: Callable[[Path], None], cause: str
) -> None:
    corrupt(path)
    with pytest.raises(BundleError, match=cause):
        Bundle.open(path, verify=True)


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"user_ids": models.by_bytes([f"u{i}" for i in range(12)])[::-1]}, "user_ids: not unique"),
        ({"user_ids": ["u"] * 12}, "user_ids: not unique"),
        ({"user_ids": ["a" * 65, *"bcdefghijkl"]}, "is not 1 to 64 characters"),
        ({"user_ids": ["", *"bcdefghijkl"]}, "is not 1 to 64 characters"),
        ({"user_ids": ["a\0", *"bcdefghijkl"]}, "is not 1 to 64 characters"),
        ({"user_ids": list(range(12))}, "user_ids: not a string"),
        ({"user_factors": np.zeros((12, 5))}, "item_factors has shape"),
        ({"user_factors": np.zeros(12)}, "user_factors: has 1 axes"),
        ({"user_factors": np.full((12, 4), np.inf)}, "user_factors: not finite"),
        ({"user_factors": np.full((12, 4), 1e300)}, "user_factors: not finite"),
        ({"user_factors": np.full((12, 4), "1")}, "user_factors: has dtype"),
        ({"seen_items": np.full(139, 2**40)}, "seen_items: has values that <i4 cannot hold"),
        ({"popularity": np.full(40, np.nan)}, "popularity: not finite"),
        ({"seen_ratings": np.ones(7)}, "seen_ratings has shape"),
    ],
)
def test_content_that_is_no_model_is_not_written(
    tmp_path: Path, changed: dict[str, Any], cause: str
) -> None:
    with pytest.raises(BundleError, match=cause):
        models.write(tmp_path / "b", models.content(**changed))
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_that_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    for changed in (
        {"data_until": "yesterday"},
        {"parameters": {"alpha": float("nan")}},
        {"seed": 1.5},
    ):
        with pytest.raises(ValidationError):
            models.write(tmp_path / "b", **changed)
    assert list(tmp_path.iterdir()) == []


def test_a_sound_bundle_of_the_same_identity_is_kept(path: Path) -> None:
    inode = (path / "user_factors.npy").stat().st_ino
    manifest = models.write(path, models.content(seed=1))
    assert manifest == Bundle.open(path).manifest
    assert (path / "user_factors.npy").stat().st_ino == inode


def test_a_bundle_of_another_identity_is_not_overwritten(path: Path) -> None:
    with pytest.raises(BundleError, match="holds the model model-1, not model-2"):
        models.write(path, identity="model-2")
    assert Bundle.open(path, verify=True).manifest.identity == "model-1"


@pytest.mark.parametrize(
    "corrupt", [_flip_byte, _truncate, lambda p: (p / "manifest.json").unlink()]
)
def test_a_broken_bundle_is_replaced(path: Path, corrupt: Callable[[Path], None]) -> None:
    corrupt(path)
    models.write(path)
    assert Bundle.open(path, verify=True).manifest.identity == "model-1"
    assert [p.name for p in path.parent.iterdir()] == ["bundle"]


def test_a_directory_is_replaced_in_one_step(path: Path) -> None:
    ended, missing = threading.Event(), []

    def look() -> None:
        while not ended.is_set():
            if not path.exists():
                missing.append(path)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for _ in range(300):
            with staged_directory(path) as staged:
                (staged / "new").touch()
    finally:
        ended.set()
        reader.join()
    assert missing == []
    assert [p.name for p in path.parent.iterdir()] == ["bundle"]


def test_leftovers_of_a_crash_are_swept_and_those_of_a_running_writer_are_not(
    tmp_path: Path,
) -> None:
    dead, alive = tmp_path / ".tmp-bundle-dead", tmp_path / ".tmp-bundle-alive"
    for leftover in (dead, alive):
        leftover.mkdir()
        (leftover / "user_ids.npy").write_bytes(b"torn")
    os.utime(dead, (0, dead.stat().st_mtime - LEFTOVER_AGE - 60))
    models.write(tmp_path / "bundle")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".tmp-bundle-alive", "bundle"]
