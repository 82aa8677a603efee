"""A registered model version, as a value: what a registry says about it, without the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Version:
    """A registered model version and its tags."""

    number: int
    identity: str
    data_until: str
    run_id: str
    tags: Mapping[str, str]

    @property
    def gate(self) -> str | None:
        return self.tags.get("gate")

    @property
    def gate_reason(self) -> str:
        return self.tags.get("gate_reason", "")

    @property
    def pinned(self) -> str | None:
        """Why somebody pinned it; None if nobody did."""
        return self.tags.get("pinned")

    @property
    def revoked(self) -> str | None:
        """Why somebody revoked it; None if nobody did."""
        return self.tags.get("revoked")

    @property
    def on_trial(self) -> bool:
        """Whether it is an experiment's alone: nobody judges it unless the experiment is concluded
        with it.
        """
        return "arm" in self.tags and self.gate is None

    @property
    def eligible(self) -> bool:
        """Whether it passed the gate and nobody took it back."""
        return self.gate == "passed" and self.revoked is None

    @property
    def cold(self) -> bool:
        """Whether it was fitted from random factors."""
        return self.tags.get("fit") == "cold"
