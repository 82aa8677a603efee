"""Writing a bundle: checked first, durable, and there as a whole or not at all."""

from pathlib import Path

from movierec_serving.bundle.array_files import write_arrays
from movierec_serving.bundle.bundle import Bundle
from movierec_serving.bundle.content import BundleContent
from movierec_serving.bundle.files import staged_directory, write_file
from movierec_serving.bundle.layout import check_shapes, check_values, counts_of
from movierec_serving.bundle.manifest import FORMAT_VERSION, MANIFEST, Manifest, Provenance
from movierec_serving.errors import BundleError


def write_bundle(path: Path, content: BundleContent, provenance: Provenance) -> Manifest:
    """Write `content` to `path`; a sound bundle of the same identity there is kept, a broken one
    replaced.

    Raises:
        BundleError: the content is not a model (the message names the array), or `path` holds a
            sound bundle of another identity.
    """
    path, identity = Path(path), provenance.identity
    if (existing := Bundle.sound(path)) is not None:
        known = existing.manifest
        if known.identity != identity:
            raise BundleError(f"{path}: holds the model {known.identity}, not {identity}")
        return known
    arrays, layout = content.arrays, content.layout
    counts = counts_of(arrays, layout)
    check_shapes(arrays, layout, counts, identity)
    check_values(arrays, layout, identity)
    with staged_directory(path) as staged:
        files = write_arrays(staged, arrays)
        manifest = Manifest(
            format_version=FORMAT_VERSION, counts=counts, files=files, **dict(provenance)
        )
        write_file(staged / MANIFEST, manifest.to_json().encode())
    return manifest
