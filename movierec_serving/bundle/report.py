"""How the pipeline is, as it tells the endpoints of a store: one small file beside the versions.

An endpoint shows it to those who run it, and needs nothing of it to answer.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from pydantic import field_validator

from movierec_serving.bundle.documents import Document, Strict
from movierec_serving.bundle.files import replace_file
from movierec_serving.errors import BundleError

logger = logging.getLogger(__name__)

FILE = "status.json"


class ReportedProduction(Strict):
    """`why` is the reason of whoever pinned it; None if nobody did."""

    version: int
    data_until: str
    days_behind: int
    why: str | None


class ReportedDay(Strict):
    """One day of the ledger with its model; what it does not have yet is None."""

    day: str
    rows: int
    refused: str | None  # why
    version: int | None
    gate: str | None
    reason: str


class PipelineReport(Document):
    """What a person wants to see at one glance.

    Attributes:
        at: when it was written, ISO with its offset.
        look: what somebody should look at, each in a sentence.
        days: the last ones, the newest first.
        refused: why, by day; all of them.
        deployed_after: seconds from the move of production to the reload of the endpoints.
        experiments: each in a sentence.
        links: addresses of other pages, by their names.
    """

    FORMATS: ClassVar = (1,)

    at: str
    production: ReportedProduction | None
    look: tuple[str, ...]
    days: tuple[ReportedDay, ...]
    refused: Mapping[str, str]
    deployed_after: float | None
    experiments: tuple[str, ...]
    links: Mapping[str, str]

    @field_validator("at")
    @classmethod
    def _is_a_time(cls, at: str) -> str:
        if datetime.fromisoformat(at).tzinfo is None:
            raise ValueError("has no offset")
        return at

    @field_validator("links")
    @classmethod
    def _are_addresses(cls, links: Mapping[str, str]) -> Mapping[str, str]:
        """A page links to them: `javascript:` is none."""
        for address in links.values():
            if not address.startswith(("http://", "https://")):
                raise ValueError(f"{address!r} is no http address")
        return links


def write_report(store: Path, report: PipelineReport) -> None:
    """Tell the endpoints of the store; a reader finds the old or the new one."""
    store.mkdir(parents=True, exist_ok=True)
    replace_file(store / FILE, report.to_json().encode())


def read_report(store: Path) -> PipelineReport | None:
    """What was told last; None if nothing was, or the file is damaged."""
    try:
        return PipelineReport.from_json((store / FILE).read_bytes(), FILE)
    except FileNotFoundError:
        return None
    except (OSError, BundleError) as error:
        logger.warning("%s cannot be read: %s", store / FILE, error)
        return None
