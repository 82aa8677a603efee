"""A bundle opened for reading: a model whose arrays are mapped, with its manifest."""

from dataclasses import dataclass
from pathlib import Path

from movierec_serving.bundle.array_files import open_array
from movierec_serving.bundle.files import read_text
from movierec_serving.bundle.layout import check_shapes, check_values
from movierec_serving.bundle.manifest import MANIFEST, Manifest
from movierec_serving.bundle.model import Model
from movierec_serving.errors import BundleError


@dataclass(frozen=True, eq=False)
class Bundle(Model):
    """One trained model, in the folder `path`."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path | str, *, verify: bool = False) -> "Bundle":
        """Map the files; a millisecond at any size, unless `verify` reads them all.

        Raises:
            BundleError: which file, and what is wrong with it.
        """
        path = Path(path)
        manifest = Manifest.from_json(read_text(path / MANIFEST), str(path / MANIFEST))
        files = {name: f"{name}.npy" for name in manifest.layout}
        arrays = {
            name: open_array(path, file, manifest.files[file], verify=verify)
            for name, file in files.items()
        }
        check_shapes(arrays, manifest.layout, manifest.counts, str(path))
        if verify:
            check_values(arrays, manifest.layout, str(path))
        return cls.of(manifest.family, arrays, manifest.parameters, path=path, manifest=manifest)

    @classmethod
    def sound(cls, path: Path) -> "Bundle | None":
        """The bundle in a folder whose every byte is as it was written; None for any other."""
        try:
            return cls.open(path, verify=True)
        except BundleError:
            return None
