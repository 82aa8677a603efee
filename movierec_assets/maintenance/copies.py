"""What a home and its copies in the object store do not have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from movierec_assets.maintenance.loss import RECOVER, Loss, days_of, span
from movierec_assets.platform import Platform
from movierec_assets.resources.stores.shared_ratings import SharedRatings
from movierec_serving.bundle import StoreError

SHOWN = 3  # files that one loss names


def of_copies(platform: Platform) -> Iterator[Loss]:
    """What the archive and its copy in the object store do not have in common."""
    store, archive = platform.settings.object_store, platform.chunk_archive
    if store is None:
        return
    try:
        here, there = archive.names(), archive.shared_names()
        shared, bundles = platform.home_files.shared, platform.bundle_store.shared
        unsent, lacking = shared.differences() if shared else ([], [])
        untold, gone = bundles.differences() if bundles else ([], [])
        ratings = SharedRatings.of(platform.warehouse, archive)
        behind = ratings.behind() if ratings else []
    except StoreError as error:
        yield Loss("store", f"what it has is not known: {error}", "see to it that it answers")
        return
    if alone := sorted(there - here):
        yield Loss(
            "chunks/",
            f"{len(alone)} chunks of {store} are not here, {days_of(alone)}",
            f"{RECOVER} brings them; if they are another home's, set another MOVIEREC_STORE",
        )
    if alone := sorted(here - there):
        yield Loss(
            "store",
            f"{len(alone)} archived chunks are not in {store}, {days_of(alone)}",
            f"the next run of raw_ratings sends them, {RECOVER} at once",
        )
    if lacking:
        yield Loss(
            "warehouse/", f"not here as {store} has it: {_some(lacking)}", f"{RECOVER} brings it"
        )
    if unsent:
        yield Loss(
            "store",
            f"not in {store} as it is here: {_some(unsent)}",
            f"the next run of raw_ratings sends it, {RECOVER} at once",
        )
    if gone:
        yield Loss(
            "bundles/",
            f"{len(gone)} bundles and twins of {store} are not here",
            f"{RECOVER} brings them",
        )
    if untold:
        yield Loss(
            "store",
            f"{len(untold)} bundles and twins are not in {store}",
            f"the next run of {platform.warehouse.arm}_model sends them, or its log says why not; "
            f"{RECOVER} at once",
        )
    if behind:
        yield Loss(
            "store",
            f"the ratings of {len(behind)} months in {store} are not as here, {span(behind)}",
            f"the next run of validated_ratings sends them, {RECOVER} at once",
        )


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - SHOWN} others" if len(paths) > SHOWN else ""
    return f"{', '.join(paths[:SHOWN])}{more}"
