"""Bundles by identity, each once, and the gate twins beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path

import dagster as dg
import numpy as np
from numpy.typing import NDArray

from movierec_assets.ratings.interactions import Interactions
from movierec_assets.resources.stores.shared_bundles import SharedBundles
from movierec_assets.training.day import Trained
from movierec_serving.bundle import Bundle, BundleError, FileEntry, write_bundle
from movierec_serving.bundle.array_files import open_array, write_array
from movierec_serving.bundle.files import read_text, remove_folder, replace_file
from movierec_serving.bundle.object_store import ObjectStore

TIMES, ENTRY = "rated_at.npy", "rated_at.json"  # in a twin's folder
RATINGS = ("user_ids", "item_ids", "seen_indptr", "seen_items", "seen_ratings")  # of a bundle


class BundleStore(dg.ConfigurableResource):  # type: ignore[type-arg]
    """`<root>/bundles/<identity>` is the served model, `<root>/twins/<identity>` its gate twin.

    The twin is trained without the holdout: it is what is evaluated, and what the next twin starts
    from. In its folder are the times of all the day's ratings, too, which no endpoint needs: so the
    next day can begin from these ratings, and read its own alone.

    An object store may have a copy of all of them: see `SharedBundles`.
    """

    root: str
    object_store: str | None = None  # its URL

    def served(self, identity: str) -> Path:
        return Path(self.root) / "bundles" / identity

    def twin(self, identity: str) -> Path:
        return Path(self.root) / "twins" / identity

    def write_twin(self, model: Trained) -> None:
        """Write a day's twin; a sound one of the same identity that is there is kept."""
        write_bundle(self.twin(model.provenance.identity), model.content, model.provenance)

    def write_served(self, model: Trained) -> None:
        """Write the served model of a day whose twin is written; a sound one is kept."""
        identity = model.provenance.identity
        write_bundle(self.served(identity), model.content, model.provenance)
        if model.content.rated_at is not None:
            _write_times(self.twin(identity), model.content.rated_at)

    def interactions(
        self, identity: str, partitions: Sequence[tuple[str, str]]
    ) -> Interactions | None:
        """What a model was trained on; None if that are other partitions than these, or a file of
        it is missing or altered.
        """
        served, twin = self.served(identity), self.twin(identity)
        try:
            manifest = Bundle.open(served).manifest
            if manifest.partitions != tuple(partitions):
                return None
            users, movies, indptr, seen, stars = (
                open_array(served, file, manifest.files[file], verify=True)
                for file in (f"{name}.npy" for name in RATINGS)
            )
            entry = FileEntry.model_validate_json(read_text(twin / ENTRY))
            times = open_array(twin, TIMES, entry, verify=True)
        except (BundleError, ValueError):
            return None
        return Interactions(
            user_ids=tuple(key.decode() for key in users.tolist()),
            movie_ids=tuple(key.decode() for key in movies.tolist()),
            users=np.repeat(np.arange(len(users), dtype=np.int32), np.diff(indptr)),
            movies=seen,
            ratings=stars,
            rated_at=times.astype(np.int64),
        )

    def remove(self, folders: Iterable[Path]) -> None:
        """Remove bundles and twins, from the object store first, so that one that a kill leaves
        here is found again by whoever removes it. StoreError if the store does not let go of them.
        """
        gone, root = list(folders), Path(self.root)
        names = {folder.relative_to(root).as_posix() for folder in gone}
        with self.shared.without(names) if self.shared and names else nullcontext():
            for folder in gone:
                remove_folder(folder)

    def share(self) -> int:
        """Let the object store have what is here; how many it had not. 0 if there is none.

        Raises:
            StoreError: it did not do so; the next call goes on.
        """
        return self.shared.send() if self.shared else 0

    def bring(self) -> int:
        """Have here what only the object store has; how many. StoreError as `share`."""
        return self.shared.bring() if self.shared else 0

    @property
    def shared(self) -> SharedBundles | None:
        """The copy in the object store; None where there is none."""
        if not self.object_store:
            return None
        return SharedBundles(ObjectStore(self.object_store), Path(self.root))

    def start(self, identity: str) -> Bundle | None:
        """A model that a warm fit may start from; None if it, or its twin, is missing.

        Raises:
            BundleError: it is damaged.
        """
        return Bundle.open(self.served(identity)) if self.complete(identity) else None

    def sound(self, identity: str) -> bool:
        """Whether every byte of both is as it was written; a damaged one is made again by training
        its day.
        """
        return all(Bundle.sound(path) for path in (self.served(identity), self.twin(identity)))

    def complete(self, identity: str) -> bool:
        """Whether both were published: a bundle's folder appears only when it is complete."""
        return self.served(identity).is_dir() and self.twin(identity).is_dir()


def _write_times(folder: Path, rated_at: NDArray[np.int64]) -> None:
    """Keep the times of ratings beside a twin; the entry comes last, so half a file is none."""
    in_half = rated_at.min() >= 0 and rated_at.max() < 2**32
    (folder / TIMES).unlink(missing_ok=True)
    entry = write_array(folder, TIMES, rated_at.astype("<u4" if in_half else "<i8"))
    replace_file(folder / ENTRY, entry.model_dump_json().encode())
