"""Published versions in an object store: where the pipeline puts them and endpoints find them."""

from pathlib import Path

from movierec_serving.bundle.cutting import cut
from movierec_serving.bundle.files import scratch_directory
from movierec_serving.bundle.manifest import MANIFEST
from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.bundle.production import FILE, version_in
from movierec_serving.bundle.publication import PublishedModel
from movierec_serving.bundle.shard import Shard
from movierec_serving.bundle.stored import INDEX, Index
from movierec_serving.errors import BundleError

FOLDER = "models"


class Publications:
    """`<store>/models/<version>/`, and the version that new endpoints begin with.

    Parts of a version are in `of<count>/<number>/` in there. The index of `of<count>/` is written
    when all of them are there, and no part is for anybody before that.

    Every method raises StoreError when the store does not do what it was asked.

    Args:
        parts: into how many a version is cut when it is published; 1: it is not.
        own: the part that versions are looked for and brought of; None: they are whole.
    """

    def __init__(self, store: ObjectStore, parts: int = 1, own: Shard | None = None) -> None:
        self.store, self._parts, self._own = store, parts, own

    def publish(self, models: Path, version: int) -> None:
        """Make the local `<models>/<version>` the published one.

        Where another host published the same model first, with lists of its own, those are taken
        over here: endpoints have one version of that number.

        Raises:
            BundleError: the version belongs to another model, or a part of it would have no user.
        """
        name, folder = f"{FOLDER}/{version}", models / str(version)
        own = Index.of(folder)
        there = self.store.put(name, folder)
        if there.files[MANIFEST] != own.files[MANIFEST]:
            raise BundleError(f"{self.store.url}/{name}: version {version} is another model there")
        if there != own:
            self.store.get(name, there, folder)
        if self._parts > 1:
            self._publish_parts(models, version)

    def _publish_parts(self, models: Path, version: int) -> None:
        whole = PublishedModel.open(models, version)
        for shard in Shard.all_of(self._parts):
            with scratch_directory(models / "part") as scratch:
                cut(whole, shard, scratch / str(version))
                self.store.put(_part(version, shard), scratch / str(version))
        empty = Index(format_version=1, files={}).to_json().encode()
        self.store.swap(f"{_parts(version, self._parts)}/{INDEX}", empty, None)

    def index(self, version: int) -> Index | None:
        """What a version's folder holds; None if it is not published, or no longer."""
        if self._own and self.store.index(_parts(version, self._own.count)) is None:
            return None
        return self.store.index(self._name(version))

    def bring(self, models: Path, version: int, index: Index) -> None:
        """Make the local folder what is published, at once or not at all."""
        self.store.get(self._name(version), index, models / str(version))

    def remove(self, version: int) -> None:
        """Take a version away for good."""
        if self._parts > 1:
            for shard in Shard.all_of(self._parts):
                self.store.remove(_part(version, shard))
            self.store.remove(_parts(version, self._parts))
        self.store.remove(f"{FOLDER}/{version}")  # with parts of other counts

    def name_production(self, version: int) -> None:
        """Let new endpoints begin with a version; of two hosts that do so at once the last wins,
        and the deployment after it agrees again.
        """
        self.store.write(f"{FOLDER}/{FILE}", f"{version}\n".encode())

    def production(self) -> int | None:
        """The version that new endpoints begin with; None if none was named."""
        content = self.store.read(f"{FOLDER}/{FILE}")
        return None if content is None else version_in(content, f"{self.store.url}/{FOLDER}/{FILE}")

    def _name(self, version: int) -> str:
        return _part(version, self._own) if self._own else f"{FOLDER}/{version}"


def _parts(version: int, count: int) -> str:
    return f"{FOLDER}/{version}/of{count}"


def _part(version: int, shard: Shard) -> str:
    return f"{_parts(version, shard.count)}/{shard.number}"
