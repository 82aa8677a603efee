"""Published versions in an object store: where the pipeline puts them and endpoints find them."""

from pathlib import Path

from movierec_serving.bundle.manifest import MANIFEST
from movierec_serving.bundle.object_store import Index, ObjectStore
from movierec_serving.bundle.production import FILE, version_in
from movierec_serving.errors import BundleError

FOLDER = "models"


class Publications:
    """`<store>/models/<version>/`, and the version that new endpoints begin with.

    Every method raises StoreError when the store does not do what it was asked.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def publish(self, models: Path, version: int) -> None:
        """Make the local `<models>/<version>` the published one.

        Where another host published the same model first, with lists of its own, those are taken
        over here: endpoints have one version of that number.

        Raises:
            BundleError: the version belongs to another model.
        """
        name, folder = f"{FOLDER}/{version}", models / str(version)
        own = Index.of(folder)
        there = self.store.put(name, folder)
        if there.files[MANIFEST] != own.files[MANIFEST]:
            raise BundleError(f"{self.store.url}/{name}: version {version} is another model there")
        if there != own:
            self.store.get(name, there, folder)

    def index(self, version: int) -> Index | None:
        """What a version's folder holds; None if it is not published, or no longer."""
        return self.store.index(f"{FOLDER}/{version}")

    def bring(self, models: Path, version: int, index: Index) -> None:
        """Make the local folder what is published, at once or not at all."""
        self.store.get(f"{FOLDER}/{version}", index, models / str(version))

    def remove(self, version: int) -> None:
        """Take a version away for good."""
        self.store.remove(f"{FOLDER}/{version}")

    def name_production(self, version: int) -> None:
        """Let new endpoints begin with a version; of two hosts that do so at once the last wins,
        and the deployment after it agrees again.
        """
        self.store.write(f"{FOLDER}/{FILE}", f"{version}\n".encode())

    def production(self) -> int | None:
        """The version that new endpoints begin with; None if none was named."""
        content = self.store.read(f"{FOLDER}/{FILE}")
        return None if content is None else version_in(content, f"{self.store.url}/{FOLDER}/{FILE}")
