"""Which versions are kept, and why: a decision on values alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from movierec_assets.promotion.policy import references
from movierec_assets.promotion.version import Version

MONTHLY = "the one of "  # begins the reason of a version that stays for its month
LATER = "9999-12-31"  # after any day: who would be compared with a challenger of the future


def compared_next(versions: Sequence[Version]) -> dict[str, str]:
    """Identity to role (production, anchor) of the versions that the next challenger meets."""
    return {version.identity: role for role, version in references(LATER, versions).items()}


def kept_versions(
    versions: Sequence[Version], *, newest: int, production: int | None, served: Sequence[int] = ()
) -> dict[int, str]:
    """Number to reason of each version that stays.

    Args:
        newest: how many of the newest (by data, then number) stay whatever they are.
        production: the number that the alias names.
        served: numbers that an endpoint has committed.
    """
    ordered = sorted(versions, key=lambda version: (version.data_until, version.number))
    reasons: dict[int, str] = {}
    for version in reversed(ordered[len(ordered) - min(newest, len(ordered)) :]):
        reasons[version.number] = f"one of the newest {newest}"
    months: dict[str, Version] = {}
    for version in ordered:  # the cold one, which the month's others begin with, else the first
        month = version.data_until[:7]
        if month not in months or (version.cold and not months[month].cold):
            months[month] = version
    for month, version in months.items():
        reasons[version.number] = f"{MONTHLY}{month}"
    by_identity = {version.identity: version.number for version in reversed(ordered)}
    for identity, role in compared_next(versions).items():
        reasons[by_identity[identity]] = f"the gate's {role}"
    for version in ordered:
        if version.number in served:
            reasons[version.number] = "served by an endpoint"
        if "pinned" in version.tags:
            reasons[version.number] = f"pinned: {version.tags['pinned']}"
        if version.number == production:
            reasons[version.number] = "production"
    return reasons


def with_parents(kept: set[str], parents: Mapping[str, str | None]) -> set[str]:
    """`kept` identities and the models that they were warm-started from, up to the cold ones."""
    whole: set[str] = set()
    for identity in kept:
        at: str | None = identity
        while at is not None and at not in whole:
            whole.add(at)
            at = parents.get(at)
    return whole
