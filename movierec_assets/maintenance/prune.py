"""Old versions let go of: what is kept and why, what goes, and the removal, which a kill cannot
break.

A version is announced as removed before its first file goes, and marked as gone after the last
one. What a kill leaves in between is finished by the next call.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from movierec_assets.maintenance.known import kept_records
from movierec_assets.maintenance.retention import (
    MONTHLY,
    compared_next,
    kept_versions,
    with_parents,
)
from movierec_assets.platform import Platform
from movierec_assets.promotion.version import Version
from movierec_assets.training.trainers import TRAINERS
from movierec_serving.bundle import Bundle, BundleError

STRAY_AGE_S = 86_400.0  # a bundle that no version has may be one that a run is about to register


@dataclass(frozen=True)
class Plan:
    """What a prune keeps (number to reason) and what it removes."""

    kept: Mapping[int, str]
    versions: Sequence[Version]
    twins: Sequence[Path]  # of versions that stay, and that no gate compares with
    strays: Sequence[Path]  # bundles and twins of no version and no day

    @property
    def empty(self) -> bool:
        return not (self.versions or self.twins or self.strays)

    def __str__(self) -> str:
        numbers = [version.number for version in self.versions]
        which = f", {min(numbers)} to {max(numbers)}" if numbers else ""
        return (
            f"{len(numbers)} versions{which}, {len(self.twins)} twins of versions that stay, "
            f"{len(self.strays)} bundles that no version has; {len(self.kept)} versions stay"
        )


def plan_prune(platform: Platform, newest: int) -> Plan:
    """Decide what goes; nothing is changed.

    Args:
        newest: how many of the newest versions stay whatever they are.
    """
    versions = platform.model_registry.versions()
    production = platform.model_registry.production()
    number = production.number if production is not None else None
    served = platform.published_models.committed()
    reasons = kept_versions(versions, newest=newest, production=number, served=served)
    judged = [version for version in versions if version.number in reasons]
    parents = _parents(platform, versions)
    chain = with_parents({version.identity for version in judged}, parents)
    for version in versions:  # what verify needs: the chain down to the month's cold model
        if version.identity in chain:
            reasons.setdefault(version.number, "a model that stays was started from it")
    models = [model.identity for model in platform.warehouse.models().values() if model.identity]
    compared = {
        version.identity for version in judged if not reasons[version.number].startswith(MONTHLY)
    }
    compared |= set(compared_next(versions)) | set(models[-1:])
    return Plan(
        kept=reasons,
        versions=[version for version in versions if version.number not in reasons],
        twins=[
            platform.bundle_store.twin(version.identity)
            for version in versions
            if version.number in reasons
            and version.identity not in compared
            and platform.bundle_store.twin(version.identity).is_dir()
        ],
        strays=_strays(
            platform, {version.identity for version in versions} | _of_days(platform, newest)
        ),
    )


def prune(platform: Platform, plan: Plan, why: str) -> None:
    """Carry a plan out, and what an earlier one left unfinished.

    Args:
        why: is shown for each removed version from now on, such as `pruned 2026-11-26`.
    """
    for version in plan.versions:
        platform.model_registry.announce_removal(version.number, why)
    finish_removals(platform)
    platform.bundle_store.remove((*plan.twins, *plan.strays))
    platform.home_files.share()  # what the versions' records say now


def finish_removals(platform: Platform) -> list[int]:
    """Delete the files of every version whose removal was announced; the numbers."""
    store = platform.bundle_store
    records = platform.model_registry.records.all()
    kept = {record.identity for record in kept_records(platform).values()}
    due = [record for record in records.values() if record.unfinished]
    # One that was trained again has a new number.
    gone = {record.identity for record in due if record.identity} - kept
    store.remove(folder(identity) for identity in gone for folder in (store.served, store.twin))
    for record in due:
        platform.published_models.remove(record.number)
        platform.model_registry.finish_removal(record.number)
    return [record.number for record in due]


def _parents(platform: Platform, versions: Sequence[Version]) -> dict[str, str | None]:
    """The identity that each version's model was warm-started from."""
    parents: dict[str, str | None] = {}
    for version in versions:
        try:
            path = platform.bundle_store.served(version.identity)
            parents[version.identity] = Bundle.open(path).manifest.parent
        except BundleError:  # lost: `movierec status` names it
            parents[version.identity] = None
    return parents


def _of_days(platform: Platform, newest: int) -> set[str]:
    """The models of the days: all of the served arm, of the others those of the newest days."""
    identities: set[str] = set()
    for arm in {*TRAINERS, *platform.settings.arms}:
        models = [model.identity for model in platform.warehouse.models(arm=arm).values()]
        kept = models if arm == platform.warehouse.arm else models[-newest:]
        identities |= {identity for identity in kept if identity is not None}
    return identities


def _strays(platform: Platform, known: set[str]) -> list[Path]:
    root, old = Path(platform.bundle_store.root), time.time() - STRAY_AGE_S
    return [
        folder
        for store in ("bundles", "twins")
        for folder in sorted((root / store).glob("*"))  # `.tmp-…` of a kill included
        if folder.name not in known and folder.stat().st_mtime < old
    ]
