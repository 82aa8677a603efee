"""Vectors for the movies that nobody has rated, from what the catalogue says of them.

They follow from a version's items and the catalogue published with it, so a movie has one without
another training, and the model's identity stays. What is listed by them is `likeness.py`'s.
"""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle.catalogue import Catalogue
from movierec_serving.bundle.files import replace_file
from movierec_serving.bundle.model import Model

PENALTY = 10.0  # of the ridge; 1 does nearly as well on MovieLens 100k
PRIOR = 1.0  # ratings at which a movie's vector counts half
SAMPLE = 20_000  # users whose mean is everybody's taste
PREPARED = ".unrated.npy"  # follows from the rest of the folder, so no copy of it needs this


class Unrated:
    """Ridge regression from genres, decade and year to the items' vectors.

    Gantner et al. (2010), "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations".
    An item with n ratings counts n / (n + 1): the vectors of few ratings are mostly noise. U movies
    are unrated, G genres are known.
    """

    def __init__(
        self, model: Model, catalogue: Catalogue, made: NDArray[np.float32] | None = None
    ) -> None:
        made = fitted(model, catalogue) if made is None else made
        self._catalogue, self.first = catalogue, len(model.item_ids)
        unrated = len(catalogue) - self.first
        self.vectors = made[:unrated]  # (U, F)
        self.everybody = made[unrated]  # (F,) the mean of the users' vectors
        self._of_genres = made[unrated + 1 :]  # (G, F)

    @classmethod
    def prepared(cls, folder: Path, model: Model, catalogue: Catalogue) -> "Unrated":
        """What `prepare` left in a version's folder; fitted where it did not."""
        rows = len(catalogue) - len(model.item_ids) + 1 + len(catalogue.genre_names)
        try:
            made = np.lib.format.open_memmap(folder / PREPARED, mode="r").view(np.ndarray)
        except (OSError, ValueError):
            return cls(model, catalogue)
        shape = (rows, model.item_vectors.shape[1])
        fits = made.shape == shape and made.dtype == np.float32
        return cls(model, catalogue, made if fits else None)

    def genres_for(self, row: int, vector: NDArray[np.float32]) -> list[str]:
        """The genres of the catalogue's row that add to its product with a (F,) vector, the most
        telling first.
        """
        added = np.where(self._catalogue.item_genres[row], self._of_genres @ vector, 0.0)
        telling = np.argsort(-added, kind="stable")[: (added > 0).sum()]
        return [self._catalogue.genre_names[genre] for genre in telling.tolist()]


def prepare(folder: Path, model: Model, catalogue: Catalogue) -> None:
    """Leave the vectors in a version's folder, for every process that opens it.

    Raises:
        OSError: they could not be written; each process fits them itself.
    """
    file = io.BytesIO()
    np.save(file, fitted(model, catalogue), allow_pickle=False)
    replace_file(folder / PREPARED, file.getvalue())


def fitted(model: Model, catalogue: Catalogue) -> NDArray[np.float32]:
    """(U + 1 + G, F): the unrated movies' vectors, the mean of the users', the genres' effects."""
    said, first = said_of(catalogue), len(model.item_ids)
    effects = effects_on(model, said[:first])
    every = len(model.user_ids) // SAMPLE + 1
    everybody = model.user_vectors(range(0, len(model.user_ids), every)).mean(axis=0)
    of_genres = effects[: len(catalogue.genre_names)]
    return np.vstack([said[first:] @ effects, everybody, of_genres]).astype(np.float32)


def effects_on(model: Model, said: NDArray[np.float32]) -> NDArray[np.float64]:
    """(S, F) what each of S things said adds to an item's vector, from (I, S) said of the items."""
    trust = model.popularity / (model.popularity + PRIOR)
    weighted = (said * trust[:, None]).T
    ridge = PENALTY * np.eye(said.shape[1])
    trained = model.family.item_vectors
    return np.asarray(np.linalg.solve(weighted @ said + ridge, weighted @ trained))


def said_of(catalogue: Catalogue) -> NDArray[np.float32]:
    """(C, genres + decades + years + 1) what is said of each movie, 0 or 1; the last is always."""
    years = catalogue.years
    times = [times[:, None] == np.unique(times[times > 0]) for times in (years // 10, years)]
    always = np.ones((len(years), 1), np.bool_)
    return np.hstack([catalogue.item_genres, *times, always]).astype(np.float32)
