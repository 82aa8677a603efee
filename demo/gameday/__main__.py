"""`python -m demo.gameday`: breaks a platform and waits for whoever mends it; `--mend` does it."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from demo.gameday.breaks import BREAKS, Break
from demo.gameday.site import Site, site
from demo.processes import wait_until

TOLD_S, WELL_S = 150.0, 180.0


def main() -> None:
    asked = argparse.ArgumentParser(prog="gameday", description=__doc__)
    asked.add_argument("--mend", action="store_true", help="by the runbook's steps, unattended")
    asked.add_argument("--only", type=int, nargs="*", help="numbers of the breaks, from 1")
    chosen = asked.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory() as folder, site(Path(folder) / "home") as made:
        wait_until(lambda: not wrong(made), "all is well at first", WELL_S)
        console.print(f"home: {made.home}\nDagster: {made.api.url}\nendpoints: {made.urls}")
        rows = [
            play(number, one, made, console, mend=chosen.mend)
            for number, one in enumerate(BREAKS, 1)
            if not chosen.only or number in chosen.only
        ]
    console.print("\n| broken | told by | after, s | well again after, s |\n|---|---|---|---|")
    console.print("\n".join(rows), markup=False)


def play(number: int, one: Break, made: Site, console: Console, *, mend: bool) -> str:
    """Break, show what is said, have it mended; a row of the table."""
    console.print(f"\n[bold]{number}. {one.name}")
    made.heard.clear()
    one.do(made)
    began = time.monotonic()
    try:
        wait_until(lambda: one.told in said(made), f"somebody is told {one.told!r}", TOLD_S)
    except RuntimeError:
        console.print(f"   nobody is told {one.told!r}", markup=False)
    told = time.monotonic() - began
    for line in (*dict.fromkeys(made.heard), *status(made)):
        console.print(f"   {line}", markup=False)
    console.print(f"   runbook: {one.entry}")
    began = time.monotonic()
    one.mend(made) if mend else input("   mend it, then press Enter ")
    try:
        wait_until(lambda: not wrong(made), "well again", WELL_S)
    except RuntimeError:
        console.print(f"   still: {wrong(made)}", markup=False)
    well = time.monotonic() - began
    row = f"| {one.name} | `{one.told}` | {told:.0f} | {well:.0f} |"
    console.print(row, markup=False)
    return row


def said(made: Site) -> str:
    """All that a person may have read."""
    return "\n".join([*made.heard, *status(made)])


def status(made: Site) -> Sequence[str]:
    """The sentences of `movierec status`; none if all is well."""
    code, output = made.movierec("status")
    lines = [line for line in output.splitlines() if line.startswith("!")]
    return lines or ([] if code == 0 else output.splitlines()[-1:])


def wrong(made: Site) -> list[str]:
    """What `movierec status` says, and the alerts that are on."""
    return [*status(made), *made.alerts()]


if __name__ == "__main__":
    main()
