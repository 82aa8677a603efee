"""The folder that endpoints serve from: one immutable folder for each published version."""

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


class PublishedModels(dg.ConfigurableResource):  # type: ignore[type-arg]
    """`<path>/<version>`: a bundle's files, linked, and each user's best unseen movies.

    Lists are corrected for popularity and calibrated as is said here; see `Ranking`.
    """

    path: str
    popularity_correction: float = 0.0
    calibration: float = 0.0

    def publish(self, bundle: Path, version: int, movies: Mapping[str, Movie]) -> None:
        """Make a bundle the published `version`; doing so again changes nothing.

        Raises:
            BundleError: the bundle, or what is published already, is damaged.
        """
        ranking = Ranking(
            popularity_correction=self.popularity_correction, calibration=self.calibration
        )
        publish(bundle, Path(self.path), version, movies, ranking)

    def name_production(self, version: int) -> None:
        """Let endpoints that have nothing committed yet begin with a published version."""
        name_production(Path(self.path), version)

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
        found = [file.read_bytes() for file in pointers if file.suffix == "" and file.is_file()]
        return sorted({int.from_bytes(one, "little") for one in found if len(one) == 8} - {0})
