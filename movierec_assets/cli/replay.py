"""`movierec replay`: what another share of places for new movies would have brought, by the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from movierec_assets.cli.refused import refused

if TYPE_CHECKING:
    from rich.console import Console

    from movierec_assets.monitoring.replay import Estimate, Lists
    from movierec_assets.platform import Platform

LIMITS = (
    "It is one list that is judged: what a new movie's first ratings bring later is not in it.\n"
    "Of another model's lists the log says nothing, since nobody was shown them: run an experiment."
)


def replay_command(
    first: Annotated[
        datetime,
        typer.Option("--from", formats=["%Y-%m-%d"], metavar="DAY", help="the first day of lists"),
    ],
    last: Annotated[
        datetime,
        typer.Option("--to", formats=["%Y-%m-%d"], metavar="DAY", help="the last day of lists"),
    ],
    share: Annotated[
        list[float],
        typer.Option(min=0, max=0.5, help="of places for new movies; may be given several times"),
    ],
) -> None:
    """Say what another share of places for new movies would have brought, from the lists shown."""
    from rich.console import Console

    from movierec_assets.platform import wired

    days = first.date().isoformat(), last.date().isoformat()
    if first > last:
        raise typer.BadParameter(f"{days[0]} is after --to {days[1]}", param_hint="--from")
    with refused("replay"):
        sound = show_replay(wired(), *days, share, Console(highlight=False))
    raise typer.Exit(0 if sound else 1)


def show_replay(
    platform: Platform, first: str, last: str, shares: Sequence[float], console: Console
) -> bool:
    """Print a table for each share, or why the lists of these days cannot tell; whether there are
    any.

    Raises:
        EventStoreError: the events cannot be read; without them the rates would be too low.
    """
    from movierec_assets.defs.shared.actions import actions_since
    from movierec_assets.monitoring.outcomes import K
    from movierec_assets.monitoring.replay import lists_of

    within, events = platform.settings.outcome_days, actions_since(platform, first)
    rows = platform.warehouse.explored(first, last, events, within=within, k=K)
    lists = lists_of(rows)
    if unlike := len(rows) - len(lists):
        console.print(f"{unlike:,} lists are left out: their places are not those of their draw")
    if not len(lists):
        console.print(
            f"from {first} to {last} no list was shown with places for new movies: set "
            "MOVIEREC_EXPLORE_SHARE, and let the daily job ingest the days that follow",
            soft_wrap=True,
        )
        return False
    low, high = lists.share.min(), lists.share.max()
    console.print(
        f"{len(lists):,} lists of {lists.user.max() + 1:,} users, {first} to {last}: their first "
        f"{K} places, drawn with share {low:g}{f' to {high:g}' if high > low else ''}, and what "
        f"was done within {within} days",
        soft_wrap=True,
    )
    for share in shares:
        _show(lists, share, console)
    console.print(LIMITS, soft_wrap=True)
    return True


def _show(lists: Lists, share: float, console: Console) -> None:
    from rich.table import Table

    from movierec_assets.monitoring.replay import RATES, CannotTell, replay

    worth = lists.effective(share)
    table = Table("rate", "as shown", f"share {share:g} (DR)", "more (95 %)", "SNIPS", "IPS")
    table.title, table.title_justify = f"share {share:g}: {worth:,.0f} effective lists", "left"
    unknown = {}
    for rate in RATES:
        answer = replay(lists, rate, share)
        if isinstance(answer, CannotTell):
            unknown[rate] = answer.why
            continue
        values = [f"{value.middle:.2%}" for value in (answer.shown, answer.snips, answer.ips)]
        more = f"{answer.more.low:+.2%} to {answer.more.high:+.2%}"
        table.add_row(rate, values[0], _interval(answer.dr), more, *values[1:])
    if table.row_count:
        console.print(table)
    for why in dict.fromkeys(unknown.values()):
        rates = ", ".join(rate for rate, its in unknown.items() if its == why)
        console.print(f"share {share:g}, {rates}: cannot tell: {why}", soft_wrap=True)


def _interval(estimate: Estimate) -> str:
    low, high = max(estimate.low, 0.0), min(estimate.high, 1.0)
    return f"{estimate.middle:.2%} ({low:.2%} to {high:.2%})"
