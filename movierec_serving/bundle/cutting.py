"""Cutting a publication into parts, each a publication of its own: some users, and every movie."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from movierec_serving.bundle.array_files import FileEntry, write_arrays
from movierec_serving.bundle.documents import Document
from movierec_serving.bundle.files import link_file, read_text, staged_directory, write_file
from movierec_serving.bundle.layout import of_users
from movierec_serving.bundle.manifest import MANIFEST, Manifest
from movierec_serving.bundle.publication import (
    LISTS,
    PUBLICATION,
    Part,
    Publication,
    PublishedModel,
)
from movierec_serving.bundle.shard import Shard, part_of
from movierec_serving.errors import BundleError


def cut(whole: PublishedModel, shard: Shard, final: Path) -> None:
    """Make the folder `final` one part of an opened publication: the same numbers, fewer users.

    Raises:
        BundleError: nobody is in this part.
    """
    path, bundle = whole.bundle.path, whole.bundle
    parts = [part_of(user_id, shard.count) for user_id in bundle.user_ids.tolist()]
    own = np.array(parts) == shard.number
    if not own.any():
        raise BundleError(f"{path}: no user is in part {shard}: cut it into fewer parts")
    rated = np.repeat(own, np.diff(bundle.seen_indptr))
    arrays = {
        **{name: getattr(whole, name)[own] for name in LISTS},
        **of_users(bundle.family.arrays, bundle.manifest.layout, own, rated),
    }
    document = Publication.from_json(read_text(path / PUBLICATION), str(path / PUBLICATION))
    with staged_directory(final) as staged:
        written = write_arrays(staged, arrays)
        for name in {*bundle.manifest.files, *document.files} - written.keys():
            link_file(path / name, staged / name)
        seen = {"users": int(own.sum()), "interactions": len(arrays["seen_items"])}
        counts = {**bundle.manifest.counts, **seen}
        part = Part(shard=shard, mean_stars=bundle.family.mean_stars)
        manifest = _with_files(bundle.manifest, written, counts=counts)
        write_file(staged / MANIFEST, manifest.to_json().encode())
        publication = _with_files(document, written, part=part)
        write_file(staged / PUBLICATION, publication.to_json().encode())


def _with_files(
    document: Manifest | Publication, written: Mapping[str, FileEntry], **changed: Any
) -> Document:
    """The whole's document, as it is of a part."""
    files = {name: written.get(name, entry) for name, entry in document.files.items()}
    return document.model_copy(update={"files": files, **changed})
