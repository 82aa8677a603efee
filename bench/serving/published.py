"""Trained models of two shapes, published for the benches of the endpoint, whole or broken on
purpose.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from bench.models.generator import generate
from movierec_serving.bundle import (
    Bundle,
    BundleContent,
    Movie,
    Provenance,
    publish,
    write_bundle,
)
from movierec_serving.bundle.documents import seal, unseal
from movierec_serving.bundle.manifest import MANIFEST, Manifest
from movierec_serving.bundle.publication import PUBLICATION, Publication

CACHE = (
    Path(tempfile.gettempdir()) / f"movierec-bench-{os.getuid()}"
)  # models, for both benches; may be removed
GENRES = [f"Genre {number}" for number in range(19)]


@dataclass(frozen=True)
class Shape:
    users: int
    items: int
    factors: int
    ratings: int


SHAPES = {
    "ml-100k": Shape(943, 1682, 64, 105_000),
    "ml-25m": Shape(162_541, 59_047, 128, 28_500_000),  # 150 movies a user, once doubles are gone
}
BAD = ("truncated", "altered", "another format", "missing")


def trained_bundle(shape: Shape, path: Path) -> Bundle:
    """A bundle of implicit's ALS, 3 iterations on generated ratings, so spectrum, norms and seen
    movies fit.
    """
    from implicit.als import AlternatingLeastSquares

    parts = generate(users=shape.users, movies=shape.items, ratings=shape.ratings, days=100)
    users, movies, stars = (
        np.concatenate(columns)
        for columns in zip(*((d.users, d.movies, d.stars) for d in parts), strict=True)
    )
    matrix = sp.csr_matrix((stars, (users, movies)), shape=(shape.users, shape.items))
    matrix.sum_duplicates()
    matrix.data = np.minimum(matrix.data, 5.0).astype(np.float32)
    ids = [tuple(f"{1_000_000 + row}" for row in range(count)) for count in matrix.shape]
    alpha = 0.6
    model = AlternatingLeastSquares(
        shape.factors, regularization=10.0, alpha=alpha, iterations=3, random_state=0
    )
    with threadpool_limits(1, "blas"):
        model.fit(matrix, show_progress=False)
    content = BundleContent(
        family="als",
        own={"user_factors": model.user_factors, "item_factors": model.item_factors},
        user_ids=ids[0],
        item_ids=ids[1],
        seen_indptr=matrix.indptr.astype(np.int64),
        seen_items=matrix.indices,
        seen_ratings=matrix.data,
        seen_confidence=matrix.data * np.float32(alpha),
        popularity=np.bincount(matrix.indices, minlength=shape.items),
    )
    provenance = Provenance(
        identity=path.name,
        family="als",
        data_until="2019-11-21",
        parent=None,
        fit="cold",
        seed=0,
        partitions=(),
        parameters={"regularization": 10.0, "alpha": alpha, "weighting": "rating"},
        partitions_digest="",
        training_version="bench",
        libraries={},
        blas="",
    )
    write_bundle(path, content, provenance)
    return Bundle.open(path)


def published(name: str) -> Path:
    """The published model of a shape: trained and listed once, then kept in `CACHE`."""
    shape = SHAPES[name]
    CACHE.mkdir(mode=0o700, exist_ok=True)
    if CACHE.stat().st_uid != os.getuid():
        raise PermissionError(f"{CACHE} is somebody else's")
    formats = Manifest.FORMATS[-1], Publication.FORMATS[-1]
    home = CACHE / "-".join(map(str, (name, *formats, shape.ratings)))
    if not (home / "1").is_dir():
        started = time.perf_counter()
        bundle = trained_bundle(shape, home / "bundle")
        cards = {
            id_: Movie(
                id_,
                f"The Film Number {id_} ({1950 + row % 70})",
                (GENRES[row % 19], GENRES[row * 7 % 19]),
            )
            for row, id_ in enumerate(bundle.item_ids.astype(str).tolist())
        }
        publish(home / "bundle", home, 1, cards)
        seconds = time.perf_counter() - started
        per_user = len(bundle.seen_items) / shape.users
        print(
            f"{name}: trained and published in {seconds:.0f} s, {per_user:.0f} seen movies a user",
            flush=True,
        )
    return home / "1"


def copy_version(source: Path, store: Path, version: int, broken: str = "") -> Path:
    """The published model in files of its own, as a version with an identity of its own; broken if
    asked to.
    """
    final = store / str(version)
    if broken == "missing":
        return final
    shutil.copytree(source, final, copy_function=shutil.copyfile)
    for name, kind in ((MANIFEST, Manifest), (PUBLICATION, Publication)):
        document = unseal((final / name).read_text(), name, kind.FORMATS)
        document["identity"] = f"bench-{version}"
        if kind is Publication:
            document["version"] = version
        if broken == "another format":
            document["format_version"] = kind.FORMATS[-1] + 1
        (final / name).write_text(seal(document))
    lists = final / "top_items.npy"
    if broken == "truncated":
        os.truncate(lists, lists.stat().st_size // 2)
    if broken == "altered":
        with lists.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\x7f")
    return final
