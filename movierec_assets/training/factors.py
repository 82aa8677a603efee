"""What every trainer gives: factors, and the bundle that is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_assets.ratings.interactions import Interactions
from movierec_serving.bundle import FORMAT_VERSION, Bundle, BundleContent, Manifest
from movierec_serving.bundle.layout import encode_ids, popularity_order


@dataclass(frozen=True)
class Factors:
    """(U, F) and (I, F) float32 with the ids of their rows, ascending by UTF-8 bytes."""

    user_ids: tuple[str, ...]
    movie_ids: tuple[str, ...]
    users: NDArray[np.float32]
    movies: NDArray[np.float32]


def factors_of(bundle: Bundle) -> Factors:
    """A bundle's factors with the ids of their rows."""
    return Factors(
        tuple(key.decode() for key in bundle.user_ids.tolist()),
        tuple(key.decode() for key in bundle.item_ids.tolist()),
        np.asarray(bundle.user_factors),
        np.asarray(bundle.item_factors),
    )


def content(
    interactions: Interactions, confidence: NDArray[np.float32], factors: Factors
) -> BundleContent:
    """What a bundle holds: the factors, and each user's movies with their stars and confidence."""
    return BundleContent(
        user_ids=factors.user_ids,
        item_ids=factors.movie_ids,
        user_factors=factors.users,
        item_factors=factors.movies,
        seen_indptr=interactions.indptr,
        seen_items=interactions.movies,
        seen_ratings=interactions.ratings,
        seen_confidence=confidence,
        popularity=interactions.popularity(),
    )


def in_memory(model: BundleContent, parameters: Mapping[str, Any]) -> Bundle:
    """What opening the written bundle gives, without the files: to be evaluated, not to be
    served.
    """
    manifest = Manifest(
        FORMAT_VERSION,
        "in memory",
        "1970-01-01",
        None,
        "cold",
        0,
        parameters,
        (),
        "",
        "",
        {},
        "",
        {},
        {},
    )
    return Bundle(
        Path(),
        manifest,
        model.user_factors,
        model.item_factors,
        encode_ids(model.user_ids, "user_ids"),
        encode_ids(model.item_ids, "item_ids"),
        model.seen_indptr,
        model.seen_items,
        model.seen_ratings,
        model.seen_confidence,
        model.popularity,
        popularity_order(model.popularity),
    )
