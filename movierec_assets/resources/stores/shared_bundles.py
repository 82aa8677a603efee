"""Trained models' copy in an object store: bundles and gate twins, published or not.

To the copy's index a bundle is one file, by its manifest's sha256. The manifest seals all others
but the times in a twin's folder, which whoever reads them checks. In the store it is the folder
`bundles/<that sha256>/`, whose own index is written last.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from movierec_assets.resources.stores.shared_folder import Contents, SharedFolder
from movierec_serving.bundle import Bundle, BundleError, StoreError
from movierec_serving.bundle.array_files import sha256_of
from movierec_serving.bundle.manifest import MANIFEST
from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.bundle.stored import FILE_NAME, Stored

logger = logging.getLogger(__name__)


class SharedBundles(SharedFolder):
    """The copy of `bundles/` and `twins/` in `root`. They never change; one that was damaged, and
    is trained again, may have other bytes, as on another machine: then the copy has those.
    """

    NAME = "bundles"
    FILE = r"(bundles|twins)/[0-9a-f]{64}"
    LOCK = ".shared-bundles.lock"

    def __init__(self, store: ObjectStore, root: Path) -> None:
        super().__init__(store, root, root / "chunks")

    def send(self, every: bool = False) -> int:
        """Let the copy have what is here; how many bundles and twins it had not.

        Args:
            every: no byte is there afterwards but of those that are here.
        """
        return len(self._send(lambda path: False, every))

    def bring(self) -> int:
        """Have here what only the copy has, each at once or not at all; how many."""
        with self._bringing() as known:
            lacking = {path: known.files[path] for path in known.files.keys() - self._here()}
            self._get_all(lacking)
        return len(lacking)

    @contextmanager
    def without(self, gone: Collection[str]) -> Iterator[None]:
        """The copy has these no longer, and none is sent before the block has removed them here."""
        with self._alone():
            known = self.contents()
            if known.leaving or not known.files.keys().isdisjoint(gone):
                self._change(lambda files: {p: f for p, f in files.items() if p not in gone})
            yield

    def differences(self) -> tuple[list[str], list[str]]:
        """Those that only this home has, and those that only the copy has; by their names."""
        here, there = self._here().keys(), self.contents().files.keys()
        return sorted(here - there), sorted(there - here)

    def _here(self) -> dict[str, Path]:
        folders = [*self._folder.glob("bundles/*"), *self._folder.glob("twins/*")]
        named = {folder.relative_to(self._folder).as_posix(): folder for folder in folders}
        return {name: at for name, at in named.items() if re.fullmatch(self.FILE, name)}

    def _news(
        self, here: Mapping[str, Path], known: Contents, every: bool
    ) -> Iterator[tuple[str, Stored]]:
        """A damaged one is none of them: its day's next run makes it again."""
        for name, folder in here.items():
            try:
                sha256 = sha256_of(folder / MANIFEST)
                if name in known.files and known.files[name].sha256 == sha256:
                    continue
                Bundle.open(folder, verify=True)
                if odd := [path for path in folder.iterdir() if _is_odd(path.name)]:
                    raise BundleError(f"{odd[0]} is no file of a bundle: remove it")
            except (BundleError, OSError) as error:
                logger.warning("a bundle is not sent to %s: %s", self.store.url, error)
            else:
                size = sum(path.stat().st_size for path in folder.iterdir())
                yield name, Stored(sha256=sha256, bytes=size)

    def _put(self, path: str, bundle: Stored) -> None:
        self.store.put(self._object(bundle.sha256), self._folder / path)

    def _get(self, path: str, bundle: Stored) -> None:
        name = self._object(bundle.sha256)
        index = self.store.index(name)
        if index is None or index.files[MANIFEST].sha256 != bundle.sha256:
            raise StoreError(f"{self.store.url}/{name}: lost or altered, and the index names it")
        self.store.get(name, index, self._folder / path)

    def _delete(self, objects: Collection[str]) -> None:
        for sha256 in objects:
            self.store.remove(self._object(sha256))


def _is_odd(name: str) -> bool:
    """Whether a file is none of ours; those that begin with a dot are sent nowhere."""
    return name[0] != "." and not re.match(FILE_NAME, name)
