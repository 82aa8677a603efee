"""Accepted ratings as Parquet in the object store, a file a month, for whoever computes elsewhere:
Spark, DuckDB on another machine, a notebook.

`ratings/month=YYYY-MM/ratings.parquet` is replaced as a whole. `ratings/_index.json` names the
digest of the chunks that each file was made of. It is written after the file, so a month whose
writer was killed is written again. Nothing of the pipeline's is read from there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Annotated, ClassVar, Self

from filelock import FileLock
from pydantic import Field

from movierec_assets.resources.stores.chunk_archive import ChunkArchive
from movierec_assets.resources.stores.shared_chunks import SharedChunks
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.training.identity import partitions_digest
from movierec_serving.bundle import StoreError
from movierec_serving.bundle.documents import Document, Strict
from movierec_serving.bundle.objects import Mark
from movierec_serving.bundle.stored import Stored

FOLDER = "ratings"
INDEX = f"{FOLDER}/_index.json"  # a name that Spark does not read


class Month(Strict):
    """A file, and the digest of the (day, data version) of each chunk that it was made of."""

    chunks: str = Field(pattern="^[0-9a-f]{64}$")
    file: Stored


class Months(Document):
    """What is there."""

    FORMATS: ClassVar = (1,)

    home: str  # whose it is, as the chunks' index has it
    months: Mapping[Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}$")], Month]

    @property
    def chunks(self) -> dict[str, str]:
        """The digest of each month's chunks."""
        return {name: month.chunks for name, month in self.months.items()}


class SharedRatings:
    """Sends one home's accepted ratings. Every method raises StoreError when the store does not do
    what it was asked; the next call goes on.

    Args:
        chunks: the copy of the same home's chunks, which says whose the store is.
    """

    def __init__(self, warehouse: Warehouse, chunks: SharedChunks) -> None:
        self._warehouse, self._chunks, self._store = warehouse, chunks, chunks.store

    @classmethod
    def of(cls, warehouse: Warehouse, archive: ChunkArchive) -> Self | None:
        """Those of a home; None where it has no object store."""
        shared = archive.shared
        return None if shared is None else cls(warehouse, shared)

    def send(self) -> int:
        """Let every month be there as it is here, and no other; how many were not."""
        with self._staged() as staged:
            home = self._chunks.own()
            known, mark = self._read()
            if known is None:
                known = Months(format_version=1, home=home, months={})
            elif known.home != home:
                raise StoreError(
                    f"{self._store.url}/{FOLDER}: the ratings there are another home's: set "
                    "another MOVIEREC_STORE"
                )
            with self._warehouse.connect(read_only=True):  # ledger and rows of one state
                here = self._here()
                due = sorted({name for name, _ in here.items() - known.chunks.items()})
                for name in due:
                    self._warehouse.export_month(name, staged / name)
            gone = sorted(known.months.keys() - here.keys())
            months = {name: month for name, month in known.months.items() if name in here}
            for name in due:
                file = Stored.of(staged / name)
                self._store.put_file(_object(name), staged / name, file, thoroughly=True)
                months[name] = Month(chunks=here[name], file=file)
            self._store.delete(map(_object, gone))
            if due or gone:
                index = Months(format_version=1, home=home, months=months)
                if not self._store.swap(INDEX, index.to_json().encode(), mark):
                    raise StoreError(f"{self._store.url}/{INDEX}: another host changes it, too")
        return len(due) + len(gone)

    @contextmanager
    def _staged(self) -> Iterator[Path]:
        """A folder for files on their way, for one sender at a time; what a kill left goes."""
        folder = Path(self._warehouse.path).parent / ".tmp-ratings"
        with FileLock(f"{folder}.lock"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder)

    def behind(self) -> list[str]:
        """The months that are there otherwise than here."""
        known, here = self._read()[0], self._here()
        there = known.chunks if known else {}
        return sorted({name for name, _ in here.items() ^ there.items()})

    def _here(self) -> dict[str, str]:
        """The digest of each month's accepted chunks."""
        months = groupby(self._warehouse.partitions(), key=lambda partition: partition[0][:7])
        return {name: partitions_digest(list(chunks)) for name, chunks in months}

    def _read(self) -> tuple[Months | None, Mark | None]:
        return self._store.document(INDEX, Months) or (None, None)


def share_ratings(warehouse: Warehouse, archive: ChunkArchive) -> int:
    """Let the object store have the accepted ratings as they are here; how many months it had not.
    0 if there is none.

    Raises:
        StoreError: it did not do so; the next call goes on.
    """
    shared = SharedRatings.of(warehouse, archive)
    return shared.send() if shared else 0


def _object(name: str) -> str:
    return f"{FOLDER}/month={name}/ratings.parquet"
