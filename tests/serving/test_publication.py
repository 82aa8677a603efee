"""A published version: the bundle, its catalogue, and every user's list."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from movierec_serving.bundle import TOP_N, BundleError, PublishedModel, publish, recommend
from movierec_serving.bundle.documents import seal
from movierec_serving.bundle.selection import Slice, for_users
from tests.support import sample_models as models


def test_a_users_list_is_what_the_kernel_says(store: Path) -> None:
    model = PublishedModel.open(store, 3, verify=True)
    absent = np.array([1])  # the catalogue does not have it
    rows, scores = recommend(model.bundle, np.arange(12), TOP_N, left_out=absent)
    for row in range(12):
        expected = [
            (i, s) for i, s in zip(rows[row].tolist(), scores[row].tolist(), strict=True) if i >= 0
        ]
        assert for_users(model, [row], Slice(TOP_N)) == [expected]
        assert for_users(model, [row], Slice(5)) == [expected[:5]]
        assert not {i for i, _ in expected} & set(model.bundle.seen(row).tolist())
    assert model.version == 3
    assert model.data_until == "1998-04-03"


def test_titles_and_genres_follow_the_catalogue(store: Path) -> None:
    model = PublishedModel.open(store, 3)
    catalogue = models.movies(models.content(seed=3))
    for row in range(40):
        movie = catalogue.get(model.bundle.item_id(row))
        assert model.catalogue.title(row) == (movie.title if movie else None)
        assert model.catalogue.genres(row) == (sorted(movie.genres) if movie else [])


def test_an_empty_catalogue_is_no_obstacle(tmp_path: Path) -> None:
    models.write(tmp_path / "b")
    publish(tmp_path / "b", tmp_path / "store", 1, {})
    model = PublishedModel.open(tmp_path / "store", 1, verify=True)
    assert model.card(0) == {"movie_id": "m0", "title": None, "genres": []}
    assert model.catalogue.withdrawn is None


def test_the_bundle_is_not_stored_twice(store: Path) -> None:
    bundle = store.parent / "bundles" / "model-3"
    assert (bundle / "user_factors.npy").samefile(store / "3" / "user_factors.npy")


def test_publishing_again_changes_nothing(store: Path) -> None:
    before = (store / "3").stat().st_ino
    models.publish_version(store, 3)
    assert (store / "3").stat().st_ino == before


def test_a_version_is_never_another_model(store: Path) -> None:
    models.write(store.parent / "other", identity="other")
    with pytest.raises(BundleError, match="version 3 is the model model-3, not other"):
        publish(store.parent / "other", store, 3, {})
    assert PublishedModel.open(store, 3, verify=True).bundle.manifest.identity == "model-3"


def _overwrite(name: str, **changed: object) -> Callable[[Path], None]:
    def corrupt(path: Path) -> None:
        document = json.loads((path / name).read_text())
        document.pop("checksum")
        (path / name).write_text(seal({**document, **changed}))

    return corrupt


def _flip(name: str) -> Callable[[Path], None]:
    def corrupt(path: Path) -> None:
        raw = bytearray((path / name).read_bytes())
        raw[-2] ^= 1
        (path / name).unlink()  # the bundle shares this file
        (path / name).write_bytes(raw)

    return corrupt


ENTRY = {"sha256": "0", "bytes": 0, "dtype": "<f4", "shape": []}
BROKEN = {
    "altered list": (_flip("top_items.npy"), "top_items.npy: altered"),
    "altered factors": (_flip("user_factors.npy"), "user_factors.npy: altered"),
    "missing titles": (lambda p: (p / "titles.npy").unlink(), "titles.npy: missing"),
    "no publication": (
        lambda p: (p / "publication.json").unlink(),
        "publication.json: No such file",
    ),
    "other format": (_overwrite("publication.json", format_version=9), "format version 9"),
    "other version": (_overwrite("publication.json", version=4), "is version 4, not 3"),
    "other identity": (
        _overwrite("publication.json", identity="x"),
        "is of 'x', not of the bundle",
    ),
    "genres lost": (_overwrite("publication.json", genres=["Drama"]), "item_genres is"),
    "path out of the store": (
        _overwrite("publication.json", files={"../x": ENTRY}),
        "files must be",
    ),
}


@pytest.mark.parametrize(("corrupt", "cause"), BROKEN.values(), ids=BROKEN)
def test_a_broken_version_is_refused_and_then_replaced(
    store: Path, corrupt: Callable[[Path], None], cause: str
) -> None:
    corrupt(store / "3")
    with pytest.raises(BundleError, match=cause):
        PublishedModel.open(store, 3, verify=True)
    models.publish_version(store, 3)
    PublishedModel.open(store, 3, verify=True)
    assert [p.name for p in store.iterdir()] == ["3"]


@pytest.mark.parametrize(
    ("name", "change", "cause"),
    [
        ("top_items", lambda a: np.where(a == a[0, 0], 40, a), "top_items: outside -1..39"),
        ("top_items", lambda a: a - 1, "top_items: outside -1..39"),
        ("top_items", lambda a: a[:, ::-1], "top_items: an item after the end"),
        ("top_scores", lambda a: a * np.inf, "top_scores: not finite exactly"),
        ("title_offsets", lambda a: a[::-1], "title_offsets: do not rise"),
        ("titles", lambda a: a | 0x80, "titles: the title of item row"),
    ],
)
def test_values_that_would_break_a_request_are_refused(
    store: Path, name: str, change: Callable[[np.ndarray], np.ndarray], cause: str
) -> None:
    from movierec_serving.bundle.array_files import write_array

    path = store / "3"
    array = change(np.load(path / f"{name}.npy"))
    (path / f"{name}.npy").unlink()
    document = json.loads((path / "publication.json").read_text())
    entry = write_array(path, f"{name}.npy", array)
    files = {**document["files"], f"{name}.npy": entry.model_dump(mode="json")}
    _overwrite("publication.json", files=files)(path)
    with pytest.raises(BundleError, match=cause):
        PublishedModel.open(store, 3, verify=True)


def test_a_broken_bundle_is_not_published(tmp_path: Path) -> None:
    models.write(tmp_path / "b")
    _flip("item_factors.npy")(tmp_path / "b")
    with pytest.raises(BundleError, match="item_factors"):
        publish(tmp_path / "b", tmp_path / "store", 1, {})
    assert not (tmp_path / "store").exists()


WATCH = """
import os, sys
print("watching", flush=True)
missing, over = 0, sys.argv[1] + "/over"
while not os.path.exists(over):
    for _ in range(1000):
        try:
            os.stat(sys.argv[1] + "/3/publication.json")
        except OSError:
            missing += 1
print(missing)
"""


def test_a_version_that_is_mended_is_there_at_every_moment(store: Path) -> None:
    """A process may open it just then: an older version, or none, is no answer."""
    with subprocess.Popen(
        [sys.executable, "-c", WATCH, store], stdout=subprocess.PIPE, text=True
    ) as watcher:
        assert watcher.stdout.readline() == "watching\n"
        for _ in range(15):
            _flip("top_items.npy")(store / "3")
            models.publish_version(store, 3)
        (store / "over").touch()
        assert watcher.stdout.read() == "0\n"
    PublishedModel.open(store, 3, verify=True)
    assert {p.name for p in store.iterdir()} == {"3", "over"}
