"""What of Dagster's instance a home chooses by settings, and who asked for a run; with it all
private names of Dagster's that the product uses.

`dagster.yaml` names these classes, and every process of Dagster makes them: nothing heavy is
imported here. The rest of the instance is configured in that file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import DagsterRun, StringSource
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from movierec_assets.settings import settings

USER_HEADER = "X-Forwarded-User"  # the proxy's, which asked for the password
USER = "movierec/user"  # the run's tag
# On an output it keeps Dagster from recording all of the range's days, so that what a step that
# fails has finished is recorded day by day. Dagster's own use of it is for source assets that log
# their events themselves. Without it a stage would yield no output, and everything after it would
# be skipped; skippable outputs record days as exactly, but only where the whole chain of stages is
# one step, whose resources all start for each part of it, and after which nothing of the same run
# is started.
RECORDED_ALREADY = "__source_asset_observation__"


class ChosenStorage(DagsterStorage, ConfigurableClass):
    """Runs and events in PostgreSQL where `MOVIEREC_DAGSTER_DATABASE` names one, else in SQLite."""

    @classmethod
    def config_type(cls) -> Mapping[str, Any]:
        """Where the SQLite files lie."""
        return {"base_dir": StringSource}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, str]
    ) -> DagsterStorage:
        """Give the storage itself: this class only chooses."""
        if database := settings().dagster_database:
            from dagster_postgres import DagsterPostgresStorage

            return DagsterPostgresStorage(database, inst_data=inst_data)
        return DagsterSqliteStorage.from_local(config_value["base_dir"], inst_data)


class NamingRunCoordinator(QueuedRunCoordinator):
    """Dagster's queue, with each run tagged by the user whom a proxy let in, if there is one.

    Dagster has no users of its own. Who reaches the webserver past the proxy may say any name.
    """

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Queue the run, with the tag where the request says who it is."""
        run, user = context.dagster_run, context.get_request_header(USER_HEADER)
        if user:
            self._instance.add_run_tags(run.run_id, {USER: user})
            named = self._instance.get_run_by_id(run.run_id)
            assert named is not None
            context = context._replace(dagster_run=named)
        return super().submit_run(context)
