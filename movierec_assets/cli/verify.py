"""`movierec verify`: a version rebuilt from the archived chunks, and compared bit by bit."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from movierec_assets.cli.lineage import known_version
from movierec_assets.errors import AlteredChunkError, VerifyError
from movierec_assets.platform import Platform
from movierec_assets.ratings.chunks import parse_chunk
from movierec_assets.ratings.declaration import PLAIN
from movierec_assets.ratings.interactions import interactions_of
from movierec_assets.ratings.ledger import DEFAULT_SOURCE
from movierec_assets.ratings.schema import OLDEST_VERSION, SCHEMA_VERSION
from movierec_assets.ratings.validation import validate_chunk
from movierec_assets.resources.spark_driver import placed
from movierec_assets.resources.stores.chunk_archive import ChunkArchive
from movierec_assets.settings import Settings
from movierec_assets.training.identity import model_identity, partitions_digest
from movierec_assets.training.machine import blas_kernel
from movierec_assets.training.trainer import Trainer, fitted
from movierec_assets.training.trainers import TRAINERS
from movierec_serving.bundle import Bundle, Manifest, Model, recommend

MIN_OVERLAP = 0.9  # of the top 10 on another BLAS kernel; factors were seen to differ by up to 0.07


@dataclass(frozen=True)
class Rebuilt:
    """How a model compares with its rebuilding; `overlap` is of the top 10, where the bits
    differ.
    """

    manifest: Manifest
    identical: bool
    kernel: str
    overlap: float | None = None

    @property
    def sound(self) -> bool:
        """Whether the bits are the same; on another BLAS kernel, nearly all recommendations."""
        other = self.kernel != self.manifest.blas
        return self.identical or (
            other and self.overlap is not None and self.overlap >= MIN_OVERLAP
        )

    def __str__(self) -> str:
        name = f"{self.manifest.data_until} {self.manifest.fit} {self.manifest.identity[:12]}"
        if self.identical:
            return f"{name}: identical, {len(self.manifest.partitions)} chunks"
        why = "the bits differ on the same BLAS kernel"
        if self.kernel != self.manifest.blas:
            why = (
                f"another BLAS kernel ({self.kernel}, trained on {self.manifest.blas}), so the "
                "bits may differ"
            )
        return f"{name}: not identical, {why}; {self.overlap:.1%} of the top 10 are the same"


def verify(home_settings: Settings, version: int, since: str | None = None) -> Iterator[Rebuilt]:
    """Rebuild a version from chunks, parameters, seed and parent; with `since` also its parents
    from that day on.

    The first model rebuilt starts from its parent's stored bundle, whose files are checked; each
    later one from the factors that were just rebuilt.

    Raises:
        LineageError: there is no such version.
        VerifyError: something that decides the model is missing or of another version.
    """
    adapters = Platform.of(home_settings)
    store = adapters.bundle_store
    identity = known_version(adapters, version).identity
    chain = [Bundle.open(store.served(identity), verify=True)]
    while (parent := chain[0].manifest.parent) is not None:
        bundle = Bundle.open(store.served(parent), verify=True)
        if since is None or bundle.manifest.data_until < since:
            rebuilt: Model | None = bundle
            break
        chain.insert(0, bundle)
    else:
        rebuilt = None
    chunks = [chunk for some in adapters.warehouse.chunks().values() for chunk in some]
    files = {(chunk.day, chunk.data_version): chunk.file for chunk in chunks}
    days: dict[tuple[str, str], pd.DataFrame] = {}
    for bundle in chain:
        manifest = bundle.manifest
        trainer = placed(_trainer(manifest), home_settings)
        for partition in manifest.partitions:
            if partition not in days:
                file = files.get(partition, f"{partition[0]}.csv")
                days[partition] = _ratings(adapters.chunk_archive, file, *partition)
        places = _places(manifest.partitions)
        ratings = [
            days[partition].assign(record=days[partition]["record"] + places[partition])
            for partition in manifest.partitions
        ]
        rebuilt = _rebuild(trainer, manifest, ratings, rebuilt)
        yield compare(bundle, rebuilt)


def _places(partitions: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """What to add to the numbers of each chunk's records, so that no two of a day are the same.

    Several sources may deliver a day; the warehouse adds the same.
    """
    source = {
        partition: "/".join(partition[1].split("/")[2:3]) or DEFAULT_SOURCE
        for partition in partitions
    }
    order = {name: place for place, name in enumerate(sorted(set(source.values())))}
    return {partition: order[source[partition]] << 40 for partition in partitions}


def _trainer(manifest: Manifest) -> Trainer:
    """The trainer of a model whose identity is the digest of what its manifest names.

    Raises:
        VerifyError: it is not, or this program trains otherwise.
    """
    trainer = TRAINERS[manifest.family]
    if manifest.training_version != trainer.version:
        raise VerifyError(
            f"trained by version {manifest.training_version} of the code, this is {trainer.version}"
        )
    digest = partitions_digest(manifest.partitions)
    identity = model_identity(
        family=manifest.family,
        training_version=manifest.training_version,
        parameters=manifest.parameters,
        seed=manifest.seed,
        fit=manifest.fit,
        parent=manifest.parent,
        partitions_digest=digest,
        data_until=manifest.data_until,
    )
    if (digest, identity) != (manifest.partitions_digest, manifest.identity):
        raise VerifyError(
            f"{manifest.identity}: the identity is not the digest of what the manifest names"
        )
    return trainer


def _ratings(archive: ChunkArchive, file: str, day: str, data_version: str) -> pd.DataFrame:
    sha256, schema, *of = data_version.split("/")
    if schema not in (OLDEST_VERSION, SCHEMA_VERSION):
        raise VerifyError(f"{day}: validated by schema {schema}, this program has {SCHEMA_VERSION}")
    try:
        content = archive.read(day, sha256)
        declared = archive.declaration(of[0], of[1]) if of and of[1] else PLAIN
    except (OSError, AlteredChunkError) as error:
        raise VerifyError(f"{day}: {error}") from error
    raw = parse_chunk(content, file, declared)
    outcome = validate_chunk(raw, date.fromisoformat(day), declared)
    if outcome.schema_version != schema:
        raise VerifyError(
            f"{day}: validated by schema {schema}; by {SCHEMA_VERSION}, which this program has, "
            "some of its ids are mended or rejected"
        )
    seconds = outcome.valid["rated_at"].astype("datetime64[s]").astype("int64")
    return outcome.valid.assign(day=day, rated_at=seconds)


def _rebuild(
    trainer: Trainer, manifest: Manifest, days: Sequence[pd.DataFrame], parent: Model | None
) -> Model:
    data = interactions_of(pd.concat(days, ignore_index=True))
    parameters = manifest.parameters
    content = fitted(trainer, data, manifest.data_until, parameters, manifest.seed, parent)
    return content.model(parameters)


def compare(bundle: Bundle, rebuilt: Model) -> Rebuilt:
    """Compare a stored bundle with its rebuilding: the family's arrays by sha256, and the top 10
    where they differ.

    Raises:
        VerifyError: the model is of other users or movies.
    """
    stored, kernel = bundle.manifest, blas_kernel()
    digests = {name: digest(rebuilt.family.arrays[name]) for name in rebuilt.family.layout}
    if all(stored.files[f"{name}.npy"].sha256 == sha256 for name, sha256 in digests.items()):
        return Rebuilt(stored, True, kernel)
    if any(
        list(ours) != list(theirs)
        for ours, theirs in (
            (rebuilt.user_ids, bundle.user_ids),
            (rebuilt.item_ids, bundle.item_ids),
        )
    ):
        raise VerifyError(f"{stored.identity}: other users or movies than the chunks give")
    users = np.arange(len(bundle.user_ids))
    ours, _ = recommend(rebuilt, users, 10)
    theirs, _ = recommend(bundle, users, 10)
    same = np.mean(
        [len(np.intersect1d(a, b)) / len(np.unique(b)) for a, b in zip(ours, theirs, strict=True)]
    )
    return Rebuilt(stored, False, kernel, float(same))


def digest(array: np.ndarray) -> str:
    """sha256 (hex) of the array's .npy file, as a manifest has it."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    return hashlib.sha256(file.getvalue()).hexdigest()
