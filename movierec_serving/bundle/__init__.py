"""What a served model is: its files, how they are written and read, how they recommend.

NumPy and the standard library only, so that whatever holds a bundle can use it.
"""

from movierec_serving.bundle.bundle import Bundle
from movierec_serving.bundle.evidence import Evidence, weight_of
from movierec_serving.bundle.files import BundleError, FileEntry
from movierec_serving.bundle.kernel import popular, recommend, top_items
from movierec_serving.bundle.layout import MAX_ID_LENGTH
from movierec_serving.bundle.manifest import FORMAT_VERSION, Manifest
from movierec_serving.bundle.publication import TOP_N, Movie, PublishedModel, publish
from movierec_serving.bundle.selection import (
    Ranked,
    UnknownGenreError,
    for_users,
    for_vectors,
    left_out,
    most_popular,
    similar,
)
from movierec_serving.bundle.writer import BundleContent, write_bundle

__all__ = [
    "FORMAT_VERSION",
    "MAX_ID_LENGTH",
    "TOP_N",
    "Bundle",
    "BundleContent",
    "BundleError",
    "Evidence",
    "FileEntry",
    "Manifest",
    "Movie",
    "PublishedModel",
    "Ranked",
    "UnknownGenreError",
    "for_users",
    "for_vectors",
    "left_out",
    "most_popular",
    "popular",
    "publish",
    "recommend",
    "similar",
    "top_items",
    "weight_of",
    "write_bundle",
]
