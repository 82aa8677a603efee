"""`movierec prune`: old versions let go of, after a dry run that says which and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from movierec_assets.cli.refused import refused

if TYPE_CHECKING:
    from movierec_assets.maintenance.prune import Plan


def prune_command(
    apply: Annotated[bool, typer.Option("--apply", help="remove what is named")] = False,
    keep: Annotated[
        int | None,
        typer.Option(min=2, help="how many of the newest versions stay; else the setting"),
    ] = None,
) -> None:
    """Say which versions are no longer needed; with --apply, remove them."""
    from movierec_assets.maintenance.backup import maintenance
    from movierec_assets.maintenance.disk import bytes_by_store, in_words, shared_in_words
    from movierec_assets.maintenance.prune import plan_prune, prune
    from movierec_assets.platform import wired

    platform = wired()
    newest = keep if keep is not None else platform.settings.keep_versions
    warehouse = platform.settings.warehouse
    with refused("prune"), maintenance(warehouse):
        plan = plan_prune(platform, newest)
        _show(plan)
        typer.echo(f"now: {in_words(bytes_by_store(warehouse))}")
        if shared := shared_in_words(platform):
            typer.echo(f"{shared}; chunks stay")
        if apply:
            prune(platform, plan, pruned_today())
            typer.echo(f"after: {in_words(bytes_by_store(warehouse))}")
    if not apply and not plan.empty:
        typer.echo("nothing was removed: this was a dry run, --apply removes")


def pruned_today() -> str:
    """What is said of a version from now on."""
    return f"pruned {datetime.now(UTC).date().isoformat()}"


def _show(plan: Plan) -> None:
    for number, reason in sorted(plan.kept.items()):
        typer.echo(f"stays: version {number}, {reason}")
    for version in plan.versions:
        typer.echo(f"goes:  version {version.number}, data until {version.data_until}")
    typer.echo(str(plan))
