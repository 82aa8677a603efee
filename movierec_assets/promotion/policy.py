"""Which version is production, and which versions a challenger is compared with.

Only what is recorded about versions decides, so that any process comes to the same answer. What a
person changes by hand is in `decisions`.
"""

from __future__ import annotations

from collections.abc import Sequence

from movierec_assets.promotion.version import Version


def desired_production(versions: Sequence[Version]) -> Version | None:
    """The pinned version, else the newest `data_until` (then highest number) that is eligible."""
    pinned = [
        version for version in versions if version.pinned is not None and version.revoked is None
    ]
    return _newest(pinned or [version for version in versions if version.eligible])


def references(day: str, versions: Sequence[Version]) -> dict[str, Version]:
    """The versions a challenger with data until `day` is compared with: `production` and `anchor`,
    where there are any.

    Production is the newest eligible one whose data ends before the challenger's: a verdict does
    not depend on what came after. The anchor is the newest cold one of them, fixed for a month: a
    chain of small losses, each within the margin, ends there. Where a family knows no warm fit, all
    are cold, and the anchor is the first of the month that follow each other. It is left out where
    it is production itself.
    """
    earlier = [version for version in versions if version.eligible and version.data_until < day]
    production, anchor = _newest(earlier), _anchor(earlier)
    named = {"production": production, "anchor": None if anchor is production else anchor}
    return {name: version for name, version in named.items() if version is not None}


def _anchor(versions: Sequence[Version]) -> Version | None:
    """The newest cold version, or the first of those before it in its month that are all cold."""
    anchor: Version | None = None
    for version in sorted(versions, key=_age, reverse=True):
        another_month = anchor and version.data_until[:7] != anchor.data_until[:7]
        if anchor and (another_month or not version.cold):
            break
        if version.cold:
            anchor = version
    return anchor


def _newest(versions: Sequence[Version]) -> Version | None:
    return max(versions, key=_age, default=None)


def _age(version: Version) -> tuple[str, int]:
    """A key that orders versions by their data, then by their number."""
    return version.data_until, version.number
