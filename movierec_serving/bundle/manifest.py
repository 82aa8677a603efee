"""The manifest: what a bundle was made from, and what its files must be."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, NonNegativeInt, model_validator

from movierec_serving.bundle.array_files import FileEntry
from movierec_serving.bundle.documents import Document, Strict
from movierec_serving.bundle.families import FAMILIES, layout_of
from movierec_serving.bundle.layout import OPTIONAL, Layout, axes_of

MANIFEST = "manifest.json"
FORMAT_VERSION = 2  # 1, of 0.2.0, named no family: all were ALS


def _iso_date(text: str) -> str:
    date.fromisoformat(text)
    return text


def _known(name: str) -> str:
    if name not in FAMILIES:
        raise ValueError(f"{name!r} is none of {', '.join(FAMILIES)}")
    return name


class Provenance(Strict):
    """What a model was made from.

    `identity` digests all that decides the model, and is computed by the trainer; `parent` is the
    identity it was warm-started from; `partitions` are the (day, data version) it was trained on.
    """

    identity: str = Field(min_length=1)
    family: Annotated[str, AfterValidator(_known)]
    data_until: Annotated[str, AfterValidator(_iso_date)]
    parent: str | None
    fit: Literal["cold", "warm"]
    seed: int
    parameters: Mapping[str, int | float | str | bool | None]
    partitions: tuple[tuple[str, str], ...]
    partitions_digest: str
    training_version: str
    libraries: Mapping[str, str]
    blas: str


class Manifest(Document, Provenance):
    """Provenance and content of a bundle."""

    FORMATS: ClassVar = (1, FORMAT_VERSION)

    counts: Mapping[str, NonNegativeInt]
    files: Mapping[str, FileEntry]

    @property
    def layout(self) -> Layout:
        """The arrays of a bundle of this family."""
        layout = layout_of(self.family)
        lacking = [name for name in OPTIONAL if f"{name}.npy" not in self.files]
        return {name: kind for name, kind in layout.items() if name not in lacking}

    @classmethod
    def upgraded(cls, document: dict[str, Any]) -> dict[str, Any]:
        if document["format_version"] == 1 and "family" not in document:
            return {**document, "format_version": FORMAT_VERSION, "family": "als"}
        return document

    @model_validator(mode="after")
    def _of_its_family(self) -> Self:
        if self.format_version != FORMAT_VERSION:
            raise ValueError(f"a family is named, and format_version is {self.format_version}")
        axes = axes_of(self.layout)
        if set(self.counts) != axes:
            raise ValueError(f"counts must be of {', '.join(sorted(axes))}")
        files = sorted(f"{name}.npy" for name in self.layout)
        if sorted(self.files) != files:  # also: no path leads out of the bundle
            raise ValueError(f"files must be {', '.join(files)}")
        return self
