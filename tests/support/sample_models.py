"""Small generated models for the tests of serving."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from movierec_serving.bundle import (
    FAMILIES,
    BundleContent,
    Manifest,
    Movie,
    Provenance,
    publish,
    write_bundle,
)


def content(
    users: int = 12, items: int = 40, factors: int = 4, seed: int = 0, **changed: Any
) -> BundleContent:
    """Random factors, some non-ASCII ids; the first user has seen nothing, the last all items but
    one.
    """
    rng = np.random.default_rng(seed)
    seen: list[np.ndarray] = [
        np.sort(rng.choice(items, size=items // 4, replace=False)) for _ in range(users)
    ]
    seen[0], seen[-1] = np.empty(0, int), np.arange(1, items)
    flat = np.concatenate(seen)
    fields: dict[str, Any] = {
        "user_ids": by_bytes([f"u{i}" for i in range(users - 2)] + ["ünïcode", "a/b c%"]),
        "item_ids": by_bytes([f"m{i}" for i in range(items - 1)] + ["映画"]),
        "user_factors": rng.normal(size=(users, factors)).astype(np.float32),
        "item_factors": rng.normal(size=(items, factors)).astype(np.float32),
        "seen_indptr": np.cumsum([0, *map(len, seen)]).astype(np.int64),
        "seen_items": flat.astype(np.int32),
        "seen_ratings": rng.choice([0.5, 3.0, 5.0], len(flat)).astype(np.float32),
        "seen_confidence": np.ones(len(flat), np.float32),
        "popularity": np.bincount(flat, minlength=items).astype(np.float32),
    }
    fields |= changed
    own = {name: fields.pop(name) for name in ("user_factors", "item_factors")}
    return BundleContent(family="als", own=own, **fields)


def content_of(
    family: str, users: int, items: int, own: Mapping[str, Any] | None = None
) -> BundleContent:
    """The same with the arrays of a family, random where none are given."""
    extents = {"users": users, "items": items, "factors": 6}
    rng = np.random.default_rng(1)
    random = {
        name: rng.normal(size=[extents[axis] for axis in axes]).astype(np.float32)
        for name, (_, axes) in FAMILIES[family].layout.items()
    }
    return replace(content(users, items), family=family, own=own or random)


def by_bytes(ids: list[str]) -> list[str]:
    return sorted(ids, key=str.encode)


def write(path: Path, model: BundleContent | None = None, **changed: Any) -> Manifest:
    provenance: dict[str, Any] = {
        "identity": "model-1",
        "data_until": "1998-04-22",
        "parent": None,
        "fit": "cold",
        "seed": 7,
        "family": "als",
        "parameters": {"regularization": 12.0, "alpha": 0.6},
        "partitions": (("1998-04-21", "abc+1"), ("1998-04-22", "def+1")),
        "partitions_digest": "d1",
        "training_version": "1",
        "libraries": {"numpy": np.__version__},
        "blas": "none",
    }
    return write_bundle(path, model or content(), Provenance(**{**provenance, **changed}))


def movies(model: BundleContent) -> dict[str, Movie]:
    """A catalogue: every third movie without a title, the second not in it at all."""
    genres = (("Drama",), ("Comedy", "Animé"), ())
    return {
        id_: Movie(id_, None if row % 3 == 0 else f"Titre “{row}”, The", genres[row % 3])
        for row, id_ in enumerate(model.item_ids)
        if row != 1
    }


def publish_version(store: Path, version: int, seed: int | None = None) -> Path:
    """Train, so to speak, and publish a model of its own as `version`."""
    model = content(seed=version if seed is None else seed)
    path = store.parent / "bundles" / f"model-{version}"
    write(path, model, identity=f"model-{version}", data_until=f"1998-04-{version:02d}")
    return publish(path, store, version, movies(model))
