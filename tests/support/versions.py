"""Versions as a registry has them, by what decides about them."""

from __future__ import annotations

from movierec_assets.promotion.version import Version


def version(
    number: int, data_until: str, gate: str | None, *, revoked: bool = False, fit: str | None = None
) -> Version:
    given = {"gate": gate, "fit": fit, "revoked": "complaints" if revoked else None}
    tags = {name: value for name, value in given.items() if value is not None}
    return Version(number, f"identity-{number}", data_until, "run", tags)
