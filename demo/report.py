"""What the demo shows: the time of each phase, lists of movies, a summary."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from demo.anew import DemoError
from movierec_assets.platform import Platform
from movierec_assets.ratings.ledger import in_force

COUNTS = ("rows", "validated", "rejected", "superseded")


class Phases:
    """Times each phase, and says which failed and where its logs are."""

    def __init__(self, console: Console, logs: Path) -> None:
        self.console, self.logs, self.seconds = console, logs, dict[str, float]()

    @contextmanager
    def __call__(self, name: str, what: str) -> Iterator[None]:
        self.console.print(f"[bold]{name}[/]: {what}")
        begun = time.monotonic()
        try:
            yield
        except Exception as error:
            raise DemoError(f"step '{name}' ({what}) failed: {error}\nlogs: {self.logs}") from error
        self.seconds[name] = time.monotonic() - begun

    def report(self) -> None:
        table = Table("phase", "seconds", title="time")
        for name, seconds in self.seconds.items():
            table.add_row(name, f"{seconds:.1f}")
        table.add_row("all", f"{sum(self.seconds.values()):.1f}")
        self.console.print(table)


def show_list(console: Console, endpoint: str, user: str) -> None:
    """A user's five best movies, as the endpoint answers them."""
    asked = httpx.get(f"{endpoint}/recommend/{user}", params={"n": 5}, timeout=10)
    answer = asked.raise_for_status().json()
    head = (
        f"user {user}: {answer['source']}, version {answer['model_version']}, data until "
        f"{answer['data_until']}"
    )
    table = Table("", "title", "genres", "score", title=head, title_justify="left")
    for rank, item in enumerate(answer["items"], 1):
        table.add_row(str(rank), item["title"], ", ".join(item["genres"]), f"{item['score']:.3f}")
    console.print(table)


def show_summary(console: Console, platform: Platform, served: int | None) -> None:
    """What there is now: days, rows and what became of them, versions, quality, what is served."""
    warehouse, registry = platform.warehouse, platform.model_registry
    chunks = [chunk for of_day in warehouse.chunks().values() for chunk in in_force(of_day)]
    models = [model for model in warehouse.models().values() if model.identity]
    production, last = registry.production(), models[-1].metrics
    assert production is not None, "the demo has just seen it served"
    counts = {name: sum(getattr(chunk, name) for chunk in chunks) for name in COUNTS}
    parts = " + ".join(f"{counts[name]:,} {name}" for name in COUNTS[1:])
    empty = sum(chunk.rows == 0 for chunk in chunks)
    table = Table(show_header=False, title="summary")
    table.add_row("days", f"{len(chunks)}, {empty} of them without ratings")
    table.add_row("rows", f"{counts['rows']:,} = {parts}")
    table.add_row("versions", f"{len(registry.versions())}, one a trained day")
    table.add_row(
        "NDCG@10", f"{last['ndcg_at_10']:.4f}, popularity {last['popularity_ndcg_at_10']:.4f}"
    )
    table.add_row("production", f"version {production.number}, data until {production.data_until}")
    table.add_row("served", f"version {served}")
    console.print(table)
