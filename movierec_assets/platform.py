"""The adapters of one home, wired once: everything that runs takes them from a `Platform`.

Dagster is given them by `definitions`; the command line, the demo, benches and tests read them by
attribute. What an adapter does is its own module's business, in `resources/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from movierec_assets.resources.notifier import Notifier
from movierec_assets.resources.registry.model_registry import ModelRegistry
from movierec_assets.resources.serving_client import ServingClient
from movierec_assets.resources.stores.bundle_store import BundleStore
from movierec_assets.resources.stores.chunk_archive import ChunkArchive
from movierec_assets.resources.stores.home_files import HomeFiles
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.resources.stores.published_models import PublishedModels
from movierec_assets.resources.stores.shown_files import ShownFiles
from movierec_assets.resources.warehouse.warehouse import Warehouse
from movierec_assets.settings import Settings, settings
from movierec_serving.events.log import EventLog


@dataclass(frozen=True)
class Platform:
    """One home's settings and adapters. Assets name a field as a parameter to be given it."""

    settings: Settings
    landing_zone: LandingZone
    chunk_archive: ChunkArchive
    home_files: HomeFiles
    warehouse: Warehouse
    bundle_store: BundleStore
    published_models: PublishedModels
    shown_files: ShownFiles
    event_log: EventLog
    model_registry: ModelRegistry
    serving_client: ServingClient
    notifier: Notifier

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Wire the adapters at the places that the settings name; nothing is opened or created."""
        root = settings.warehouse
        return cls(
            settings=settings,
            landing_zone=LandingZone(path=str(root / "landing")),
            chunk_archive=ChunkArchive(
                path=str(root / "chunks"), object_store=settings.object_store
            ),
            home_files=HomeFiles(root, settings.object_store),
            warehouse=Warehouse(path=str(root / "movierec.duckdb"), arm=settings.model),
            bundle_store=BundleStore(root=str(root), object_store=settings.object_store),
            published_models=PublishedModels(
                path=str(root / "models"),
                object_store=settings.object_store,
                shards=settings.shards,
                popularity_correction=settings.popularity_correction,
                calibration=settings.calibration,
            ),
            shown_files=ShownFiles(path=str(root / "shown")),
            event_log=EventLog(root / "events", root / "sources", settings.events_address),
            model_registry=ModelRegistry(
                tracking_uri=settings.tracking_uri, root=str(root), ui=settings.mlflow_ui
            ),
            serving_client=ServingClient(settings.endpoints, settings.reload_token),
            notifier=Notifier(settings.webhook),
        )


def wired() -> Platform:
    """The platform of this process's settings."""
    return Platform.of(settings())
