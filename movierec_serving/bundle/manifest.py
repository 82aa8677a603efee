"""The manifest: what a bundle was made from, and what its files must be."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any

from movierec_serving.bundle.files import BundleError, FileEntry, require, seal, unseal
from movierec_serving.bundle.layout import ARRAYS

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
COUNTS = ("users", "items", "interactions", "factors")
TYPES: Mapping[str, type] = {
    **dict.fromkeys(
        ("identity", "data_until", "fit", "partitions_digest", "training_version", "blas"), str
    ),
    **dict.fromkeys(("format_version", "seed"), int),
    **dict.fromkeys(("parameters", "libraries", "counts", "files"), dict),
    "partitions": list,
}


@dataclass(frozen=True)
class Manifest:
    """Provenance and content of a bundle.

    `identity` digests all that decides the model, and is computed by the trainer; `parent` is the
    identity it was warm-started from; `partitions` are the (day, data version) it was trained on.
    """

    format_version: int
    identity: str
    data_until: str
    parent: str | None
    fit: str
    seed: int
    parameters: Mapping[str, Any]
    partitions: tuple[tuple[str, str], ...]
    partitions_digest: str
    training_version: str
    libraries: Mapping[str, str]
    blas: str
    counts: Mapping[str, int]
    files: Mapping[str, FileEntry]

    def to_json(self) -> str:
        return seal(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes, where: str = MANIFEST) -> "Manifest":
        """Raises BundleError for another format version, and for anything missing, added or
        mistyped.
        """
        document = unseal(text, where, FORMAT_VERSION)
        expected = {field.name for field in fields(cls)}
        if set(document) != expected:
            raise BundleError(
                f"{where}: fields {sorted(set(document) ^ expected)} are missing or unknown"
            )

        values: dict[str, Any] = {
            name: require(document[name], kind, f"{where}: {name}") for name, kind in TYPES.items()
        }
        parent = document["parent"]
        values["parent"] = None if parent is None else require(parent, str, f"{where}: parent")
        values["partitions"] = tuple(
            _pair(item, f"{where}: partitions") for item in values["partitions"]
        )
        values["files"] = {
            name: FileEntry.from_json(entry, f"{where}: files.{name}")
            for name, entry in values["files"].items()
        }
        manifest = cls(**values)
        manifest.check(where)
        return manifest

    def check(self, where: str = MANIFEST) -> None:
        """The values that a type does not tell apart."""
        if not self.identity:
            raise BundleError(f"{where}: identity is empty")
        if self.fit not in ("cold", "warm"):
            raise BundleError(f"{where}: fit is {self.fit!r}, must be cold or warm")
        try:
            date.fromisoformat(self.data_until)
        except ValueError:
            raise BundleError(
                f"{where}: data_until is {self.data_until!r}, must be a date"
            ) from None
        if tuple(sorted(self.counts)) != tuple(sorted(COUNTS)):
            raise BundleError(f"{where}: counts must be of {', '.join(COUNTS)}")
        for name, count in self.counts.items():
            if require(count, int, f"{where}: counts.{name}") < 0:
                raise BundleError(f"{where}: counts.{name} is negative")
        for name, library in self.libraries.items():
            require(library, str, f"{where}: libraries.{name}")
        if set(self.files) != {
            f"{name}.npy" for name in ARRAYS
        }:  # also: no path leads out of the bundle
            raise BundleError(
                f"{where}: files must be {', '.join(f'{name}.npy' for name in ARRAYS)}"
            )


def _pair(value: object, where: str) -> tuple[str, str]:
    pair = require(value, list, where)
    if len(pair) != 2:
        raise BundleError(f"{where}: must be pairs of day and data version")
    return require(pair[0], str, where), require(pair[1], str, where)
