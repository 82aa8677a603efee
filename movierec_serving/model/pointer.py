"""The committed version: one number, in a file that every answering process has mapped."""

import mmap
import os
import secrets
from contextlib import suppress
from pathlib import Path

import numpy as np

from movierec_serving.errors import PointerError

SIZE = 8  # bytes


class Pointer:
    """An aligned unsigned 64-bit integer in a shared mapping: the version to serve, 0 for none yet.

    Version directories are immutable, so the version is also the generation: a process that
    compares it with what it has open knows whether to open another. Storing it commits a reload for
    all processes at once, and for those that start later.

    Read and written through a NumPy view, which moves the 8 bytes by one machine instruction;
    `struct.pack_into("<Q", ...)` goes byte by byte, and a reader could see half of each number.
    """

    def __init__(self, path: Path, mapping: mmap.mmap, inode: int) -> None:
        self.path, self._inode = path, inode
        self._mapping = mapping
        self._cell = np.frombuffer(mapping, dtype=np.uint64, count=1)

    @classmethod
    def open(cls, path: Path) -> "Pointer":
        """Map `path`, created with 0 if it is missing.

        Raises:
            PointerError: the file is not 8 bytes long.
        """
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f"{path.name}.{secrets.token_hex(6)}")
            fresh.write_bytes(bytes(SIZE))
            with suppress(FileExistsError):  # another process was faster: its file stays
                os.link(fresh, path)
            fresh.unlink()
        with path.open("r+b") as file:
            status = os.fstat(file.fileno())
            if (size := status.st_size) != SIZE:
                raise PointerError(
                    f"{path}: {size} bytes, a pointer has {SIZE}; stop the endpoint and delete it "
                    "to start from none"
                )
            return cls(path, mmap.mmap(file.fileno(), SIZE), status.st_ino)

    def replaced(self) -> bool:
        """Whether the file that is mapped is no longer the one at its path, where others look for
        it.
        """
        try:
            return self.path.stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    def load(self) -> int:
        return int(self._cell[0])

    def store(self, version: int) -> None:
        """Commit a version: every process sees it at once, and it is on the disk."""
        self._cell[0] = version
        self._mapping.flush()
