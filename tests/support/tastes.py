"""A store whose users have one taste each: movies of four genres, some with hostile names."""

from pathlib import Path

import numpy as np
import pandas as pd

from bench.models.chain import PARAMETERS
from movierec_assets.ratings.interactions import Interactions, interactions_of
from movierec_assets.training.als import ALS
from movierec_assets.training.trainer import fitted
from movierec_serving.bundle import Movie, Provenance, publish, write_bundle

GENRES = ("Comedy", "Horror", "Romance", "Western")
EACH = 14  # movies of a genre
USERS = 160
SETTINGS = {**PARAMETERS, "factors": 8, "regularization": 1.0}
HOSTILE = {  # titles by ids
    "../..": "Dots and / slashes? #1 & 100% (1960)",
    "<b>&amp;": "<script>alert(1)</script><img src=x onerror=alert(2)> (1961)",
    "\u202eid": "\u202eright to left مرحبا بالعالم (1962)",
    "👨‍👩‍👧‍👦": "👻🎬 {{ 7 * 7 }} {% raise %} (1963)",
    "'\"`": '" onmouseover="alert(3)" x=\'',
}


def movies() -> dict[str, Movie]:
    """The catalogue; hostile ones are Westerns."""
    plain = {
        f"{genre[0].lower()}{n}": (f"{genre} {n} ({1970 + n})", genre)
        for genre in GENRES
        for n in range(EACH)
    }
    named = plain | {id_: (title, "Western") for id_, title in HOSTILE.items()}
    return {id_: Movie(id_, title, (genre,)) for id_, (title, genre) in named.items()}


def ratings(seed: int = 0) -> Interactions:
    """Each user, `u0` to `u159`, praises movies of one genre and dislikes some others."""
    random = np.random.default_rng(seed)
    catalogue = movies()
    ids = np.array(list(catalogue))
    genres = np.array([movie.genres[0] for movie in catalogue.values()])
    rows = []
    for user in range(USERS):
        own = genres == GENRES[user % len(GENRES)]
        liked, others = random.choice(ids[own], 8, False), random.choice(ids[~own], 4, False)
        stars = [*random.choice([4.0, 4.5, 5.0], 8), *random.choice([1.0, 2.0, 3.0], 4)]
        rows += [
            (f"u{user}", movie, one) for movie, one in zip([*liked, *others], stars, strict=True)
        ]
    frame = pd.DataFrame(rows, columns=["user_id", "movie_id", "rating"])
    return interactions_of(
        frame.assign(rated_at=0, day="1998-04-20").rename_axis("record").reset_index()
    )


def publish_tastes(store: Path, version: int) -> None:
    """Train on these ratings, with the version's own, and publish."""
    identity, day = f"tastes-{version}", f"1998-04-{20 + version}"
    provenance = Provenance(
        identity=identity,
        data_until=day,
        parent=None,
        fit="cold",
        seed=version,
        family="als",
        parameters=SETTINGS,
        partitions=((day, "abc+1"),),
        partitions_digest="d1",
        training_version="1",
        libraries={},
        blas="none",
    )
    bundle = store.parent / "bundles" / identity
    write_bundle(bundle, fitted(ALS, ratings(version), day, SETTINGS, version, None), provenance)
    publish(bundle, store, version, movies())
