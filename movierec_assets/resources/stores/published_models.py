"""The folder that endpoints serve from: one immutable folder for each published version; in an
object store, too, for endpoints of other machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from movierec_serving.bundle import (
    Movie,
    PipelineReport,
    PublishedModel,
    Ranking,
    name_production,
    publish,
    write_report,
)
from movierec_serving.bundle.everybody import ListsOf, in_this_process
from movierec_serving.bundle.files import remove_folder
from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.bundle.publications import Publications


class PublishedModels(dg.ConfigurableResource):  # type: ignore[type-arg]
    """`<path>/<version>`: a bundle's files, linked, and each user's best unseen movies.

    Lists are corrected for popularity and calibrated as is said here; see `Ranking`.
    """

    path: str
    object_store: str | None = None  # its URL
    shards: int = 1
    popularity_correction: float = 0.0
    calibration: float = 0.0

    def publish(
        self,
        bundle: Path,
        version: int,
        movies: Mapping[str, Movie],
        lists_of: ListsOf = in_this_process,
    ) -> None:
        """Make a bundle the published `version`; doing so again changes nothing.

        Args:
            lists_of: where the lists are worked out.

        Raises:
            BundleError: the bundle, or what is published already, is damaged.
            StoreError: it is published here, and the object store did not take it.
        """
        ranking = Ranking(
            popularity_correction=self.popularity_correction, calibration=self.calibration
        )
        publish(bundle, Path(self.path), version, movies, ranking, lists_of)
        if shared := self.shared:
            shared.publish(Path(self.path), version)

    def name_production(self, version: int) -> None:
        """Let endpoints that have nothing committed yet begin with a published version."""
        name_production(Path(self.path), version)
        if shared := self.shared:
            shared.name_production(version)

    def remove(self, version: int) -> None:
        """Take a version away, here and from the object store; endpoints let go of their copies."""
        if shared := self.shared:
            shared.remove(version)
        remove_folder(Path(self.path) / str(version))

    def bring(self, version: int) -> bool:
        """Have a version here that only the object store has; whether it is here now.

        Raises:
            StoreError: it could not be brought whole.
        """
        shared, folder = self.shared, Path(self.path)
        index = shared.index(version) if shared else None
        if shared and index and not (folder / str(version)).exists():
            shared.bring(folder, version, index)
        return index is not None

    @property
    def shared(self) -> Publications | None:
        """What endpoints of other machines serve from; None where there is no object store."""
        if not self.object_store:
            return None
        return Publications(ObjectStore(self.object_store), self.shards)

    def tell(self, report: PipelineReport) -> None:
        """Let the endpoints of this folder show how the pipeline is."""
        write_report(Path(self.path), report)

    def open(self, version: int) -> PublishedModel:
        """Open a published version; BundleError if it is not there or damaged."""
        return PublishedModel.open(Path(self.path), version)

    def versions(self) -> list[int]:
        """List what is published, ascending."""
        folder = Path(self.path)
        names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        return sorted(int(name) for name in names if name.isdecimal())

    def committed(self) -> list[int]:
        """List what endpoints of this folder serve, running or not: the number each has committed.

        An endpoint keeps it in `.serving-<port>`, eight bytes, the lowest first; 0 is none.
        """
        pointers = Path(self.path).glob(".serving-*")
        contents = [file.read_bytes() for file in pointers if file.suffix == "" and file.is_file()]
        return sorted(
            {int.from_bytes(content, "little") for content in contents if len(content) == 8} - {0}
        )
