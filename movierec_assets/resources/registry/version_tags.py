"""Tags and descriptions of model versions in MLflow, and the private names of MLflow's that the
product uses; `skip_search_for_packages` has the second.

`MlflowClient.set_model_version_tag` reads every version first, to tell that the model is no
prompt: 54 ms with 1,000 versions and 80 ms with 5,000, for each of a day's tags. The client beneath
it takes 6 ms. It is reached by `_get_registry_client`, here and nowhere else.

`MlflowClient.search_model_versions` makes an object of every tag: 2.1 s of CPU with 5,000 versions
of 13 tags. The same rows as plain values take 0.23 s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from mlflow import MlflowClient

Listed = dict[int, tuple[str, dict[str, str]]]  # run id and tags by number, ascending


@dataclass(frozen=True)
class VersionTags:
    """Reads and changes tags of one model's versions. A tag is written at once or not at all."""

    client: MlflowClient
    model: str

    def all(self) -> Listed:
        """Every version that has a tag, and its MLflow run."""
        database = hasattr(self._registry.store, "ManagedSessionMaker")
        listed: Listed = {}
        for number, run, key, value in self._selected() if database else self._searched():
            listed.setdefault(number, (run, {}))[1][key] = value
        return dict(sorted(listed.items()))

    def _selected(self) -> Iterable[Any]:
        """(number, run id, key, value) of each tag, from MLflow's tables."""
        import sqlalchemy as sa
        from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
        from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag

        version, tag = SqlModelVersion, SqlModelVersionTag
        query: Any = (
            sa.select(version.version, version.run_id, tag.key, tag.value)
            .join(version.model_version_tags)
            .where(version.name == self.model, version.current_stage != STAGE_DELETED_INTERNAL)
        )
        with self._registry.store.ManagedSessionMaker() as session:
            return cast(Iterable[Any], session.execute(query).all())

    def _searched(self) -> Iterable[Any]:
        """Yield (number, run id, key, value) of each tag, asked of MLflow's server page by page."""
        token = None
        while True:
            page = self.client.search_model_versions(
                f"name='{self.model}'", max_results=1000, page_token=token
            )
            for version in page:
                number, run = int(version.version), version.run_id
                yield from ((number, run, *tag) for tag in version.tags.items())
            token = page.token
            if not token:
                return

    def set(self, number: int, key: str, value: str) -> None:
        """Give a version a tag, in place of the one of this key."""
        self._registry.set_model_version_tag(self.model, str(number), key, value)

    def delete(self, number: int, key: str) -> None:
        """Take a tag away; without it nothing changes."""
        self._registry.delete_model_version_tag(self.model, str(number), key)

    def describe(self, number: int, text: str) -> None:
        """Give a version a description, in place of the one before."""
        self._registry.update_model_version(self.model, str(number), text)

    @property
    def _registry(self) -> Any:
        return cast(Any, self.client)._get_registry_client()


def skip_search_for_packages() -> None:
    """Let MLflow take a model's requirements as they are said.

    It asks whether they are installed here, whose versions we took from here: for that it reads
    every installed package's list of files, half a second of a run.
    """
    from mlflow.utils import requirements_utils

    cast(Any, requirements_utils)._MODULES_TO_PACKAGES = {}
