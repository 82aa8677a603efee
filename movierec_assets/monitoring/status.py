"""Where each stage stands, and where two of them disagree: facts in, sentences out.

What a stage has is asked by whoever prints it; nothing here knows a store or a screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from movierec_assets.monitoring.production_age import production_age
from movierec_assets.promotion.version import Version


@dataclass(frozen=True)
class EndpointState:
    """What one endpoint says it serves; `problem` instead where it says nothing."""

    url: str
    version: int | None = None
    identity: str | None = None  # of the model that it says this version is
    problem: str | None = None


@dataclass(frozen=True)
class Status:
    """What every stage of one home has. Days are ISO texts, ascending."""

    landing_zone: str  # its place
    delivered: Sequence[str]  # days that are partitions
    ignored: Sequence[str]  # what is delivered and no stage will read, in sentences
    ingested: Sequence[str]
    rows: int  # of the chunks in force
    accepted: Sequence[str]
    refused: Mapping[str, str]  # the reason by day
    models: Mapping[str, str]  # the identity by day
    stale: Sequence[str]
    versions: Sequence[Version]
    production: Version | None
    endpoints: Sequence[EndpointState]
    arm: str = "als"  # whose models are served
    days_behind: int = 0  # that production may be without a word
    losses: Sequence[str] = ()  # what a store no longer has, and what to do, in sentences
    rows_of: Mapping[str, int] = field(default_factory=dict)  # the same rows by day

    @property
    def disagreements(self) -> list[str]:
        """What somebody should look at, each in a sentence; nothing where all stages agree."""
        return [
            *(f"{day} is refused: {reason}" for day, reason in self.refused.items()),
            *self.losses,
            *self.ignored,
            *self._of_stages(),
            *self._of_production(),
            *(line for endpoint in self.endpoints if (line := self._of_endpoint(endpoint))),
        ]

    def _of_stages(self) -> Iterator[str]:
        known = set(self.ingested)
        waiting = [day for day in self.delivered if day not in known]
        if waiting:
            them = "it" if len(waiting) == 1 else "them"
            yield f"{_days(waiting, 'delivered day')} not ingested: materialize {them}"
        newest = max(self.models, default="")
        untrained = [day for day in self.accepted if day > newest]
        if untrained:
            days = _days(untrained, "validated day")
            yield f"{days} without a model: materialize {self.arm}_model"
        if self.stale:
            yield f"{_days(self.stale, 'model')} stale: the check days_current has the ranges"
        identities = {version.identity for version in self.versions}
        unregistered = [day for day, identity in self.models.items() if identity not in identities]
        if unregistered:
            yield f"{_days(unregistered, 'model')} not registered: materialize registered_model"

    def _of_production(self) -> Iterator[str]:
        age = production_age(self.production, self.versions, self.accepted)
        if age.days > self.days_behind:
            yield str(age)

    def _of_endpoint(self, endpoint: EndpointState) -> str | None:
        if endpoint.problem is not None:
            return endpoint.problem
        wanted = None if self.production is None else self.production.number
        if endpoint.version == wanted:
            return self._of_identity(endpoint)
        said = f"{endpoint.url} serves {endpoint.version or 'nothing'}, production is"
        if wanted is None:
            return f"{said} none: it serves on until a version is promoted"
        return (
            f"{said} {wanted}: the ticks of the sensor deploy_production say why; without ticks "
            "start the daemon"
        )

    def _of_identity(self, endpoint: EndpointState) -> str | None:
        """Say that a number is one model to the endpoint and another to the registry; else None."""
        production = self.production
        if (
            production is None
            or endpoint.identity is None
            or endpoint.identity == production.identity
        ):
            return None
        return (
            f"{endpoint.url} serves another model as version {production.number} "
            f"({endpoint.identity[:12]}) than the registry has ({production.identity[:12]}): run "
            "`movierec recover --apply`, then start the endpoint again"
        )


def _days(days: Sequence[str], what: str) -> str:
    """The beginning of a sentence: how many, which, and the verb."""
    if len(days) == 1:
        return f"1 {what}, {days[0]}, is"
    return f"{len(days)} {what}s, {days[0]} to {days[-1]}, are"
