"""What an object store says of the files in it: how many bytes, and which."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, NonNegativeInt

from movierec_serving.bundle.array_files import sha256_of
from movierec_serving.bundle.documents import Document, Strict
from movierec_serving.errors import BundleError

INDEX = "index.json"
FILE_NAME = r"^[a-z][a-z0-9_]*\.(npy|json)$"  # leads nowhere else
FileName = Annotated[str, Field(pattern=FILE_NAME)]


class Stored(Strict):
    """One file in an object store. Its object is named by the sha256, so it is never overwritten by
    other bytes, and what a killed writer left is a part of the next one's work.
    """

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: NonNegativeInt

    @classmethod
    def of(cls, path: Path) -> "Stored":
        """What a local file is."""
        return cls(sha256=sha256_of(path), bytes=path.stat().st_size)


class Index(Document):
    """The document that makes a folder be there: written last, once, and never changed."""

    FORMATS: ClassVar = (1,)

    files: Mapping[FileName, Stored]

    @classmethod
    def of(cls, folder: Path) -> "Index":
        """What a local folder holds, without what an endpoint prepared there (`.…`).

        Raises:
            BundleError: something in it is no file of a model by its name.
        """
        paths = [path for path in sorted(folder.iterdir()) if path.name[0] != "."]
        for path in paths:
            if not re.fullmatch(FILE_NAME, path.name):
                raise BundleError(f"{path}: no file of a model has such a name: take it out")
        return cls(format_version=1, files={path.name: Stored.of(path) for path in paths})

    def fits(self, folder: Path) -> bool:
        """Whether a local folder has these files: all sizes, and the documents' every byte."""
        try:
            return all(
                (folder / name).stat().st_size == file.bytes
                and (name.endswith(".npy") or sha256_of(folder / name) == file.sha256)
                for name, file in self.files.items()
            )
        except OSError:
            return False
