"""What every store, the registry and the endpoints of one home have: the facts of a `Status`.

What they mean together is `monitoring/status.py`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from movierec_assets.errors import EndpointError
from movierec_assets.monitoring.staleness import stale_days
from movierec_assets.monitoring.status import EndpointState, Status
from movierec_assets.partitions import outside_partitions, within
from movierec_assets.platform import Platform
from movierec_assets.ratings.ledger import Chunk, in_force
from movierec_assets.resources.serving_client import ServingClient
from movierec_assets.resources.stores.landing_zone import LandingZone


def survey(platform: Platform, losses: Sequence[str] = ()) -> Status:
    """Ask every store, the registry and the endpoints of one home what they have."""
    warehouse, registry = platform.warehouse, platform.model_registry
    landed, ledger, models = platform.landing_zone.days(), warehouse.chunks(), warehouse.models()
    chunks = [chunk for chunks in ledger.values() for chunk in in_force(chunks)]
    partitions = warehouse.partitions(max(models)) if models else []
    return Status(
        landing_zone=platform.landing_zone.path,
        delivered=within(landed),
        ignored=ignored(platform.landing_zone),
        ingested=list(ledger),
        rows=sum(chunk.rows for chunk in chunks),
        accepted=sorted({chunk.day for chunk in chunks if chunk.current}),
        refused=warehouse.refused(unreadable=True) | warehouse.refused(unreadable=False),
        models={day: model.identity for day, model in models.items() if model.identity},
        stale=stale_days(models.values(), partitions, platform.settings.window_days),
        versions=registry.versions(),
        production=registry.production(),
        endpoints=[_state(platform.serving_client, url) for url in platform.settings.endpoints],
        arm=warehouse.arm,
        days_behind=platform.settings.production_days_behind,
        losses=losses,
        rows_of=_by_day(chunks),
    )


def _by_day(chunks: Iterable[Chunk]) -> dict[str, int]:
    rows = Counter[str]()
    for chunk in chunks:
        rows[chunk.day] += chunk.rows
    return rows


def ignored(landing_zone: LandingZone) -> list[str]:
    """What lies in the landing zone and is read by no stage, and why."""
    landed = landing_zone.days()
    outside = sorted(set(landed) - set(within(landed)))
    said = [outside_partitions(outside)] if outside else []
    return said + landing_zone.odd_names()


def _state(client: ServingClient, url: str) -> EndpointState:
    try:
        served = client.model(url)
    except EndpointError as error:
        return EndpointState(url, problem=str(error))
    if served is None:
        return EndpointState(url)
    return EndpointState(url, served.version, served.identity)
