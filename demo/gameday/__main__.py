"""`python -m demo.gameday`: breaks a platform and waits for whoever mends it; `--mend` does it."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from demo.gameday.breaks import BREAKS, Break
from demo.gameday.site import Site, site
from demo.processes import wait_until

TOLD_S, WELL_S, MEND_S = 150.0, 180.0, 3600.0  # seconds of patience
NEVER = "never"


def main() -> None:
    console = Console(highlight=False, soft_wrap=True)
    asked = argparse.ArgumentParser(prog="gameday", description=__doc__)
    asked.add_argument("--mend", action="store_true", help="by the runbook's steps, unattended")
    asked.add_argument("--only", type=int, nargs="*", help="numbers of the breaks, from 1")
    given = asked.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # so that what was started is stopped
    console.print("a small platform is made first: that takes two minutes")
    with tempfile.TemporaryDirectory() as folder, site(Path(folder) / "home") as made:
        wait_until(lambda: not wrong(made), "all is well at first", WELL_S)
        (made.home / ".venv").symlink_to(
            sys.prefix
        )  # the runbook's commands are typed word for word
        console.print(f"home: {made.home}\nDagster: {made.api.url}\nendpoints: {made.urls}")
        console.print(f"type the runbook's commands in another terminal, after: cd {made.home}")
        rows = [
            play(number, broken, made, console, mend=given.mend)
            for number, broken in enumerate(BREAKS, 1)
            if not given.only or number in given.only
        ]
    console.print("\n| broken | told by | after, s | mended in, s | well after, s |")
    console.print("\n".join(["|---|---|---|---|---|", *rows]), markup=False)
    if any(NEVER in row for row in rows):
        raise SystemExit("gameday: somebody was never told, or something was never well again")


def play(number: int, broken: Break, made: Site, console: Console, *, mend: bool) -> str:
    """Break, show what is said, have it mended; a row of the table."""
    console.print(f"\n[bold]{number}. {broken.name}")
    made.heard.clear()
    broken.do(made)
    told = _seconds_until(lambda: any(broken.told in text for text in made.heard), TOLD_S)
    for line in (*dict.fromkeys(made.heard), *status(made)):
        console.print(f"   {line}", markup=False)
    console.print(f"   runbook: {broken.entry}")
    began = time.monotonic()
    broken.mend(made) if mend else _mended_by_hand(made, console)
    mended = time.monotonic() - began
    well = _seconds_until(lambda: not wrong(made), WELL_S)
    if well == NEVER:
        console.print(f"   still: {wrong(made)}", markup=False)
    row = f"| {broken.name} | `{broken.told}` | {told} | {mended:.0f} | {well} |"
    console.print(row, markup=False)
    return row


def _mended_by_hand(made: Site, console: Console) -> None:
    """Wait for Enter; without a terminal until no alert is on and `movierec status` is content."""
    if sys.stdin.isatty():
        input("   mend it, then press Enter ")
    else:
        console.print("   mend it; it goes on when all is well")
        wait_until(lambda: not (made.alerts() or wrong(made)), "it is mended", MEND_S, every_s=2)


def _seconds_until(done: Callable[[], bool], patience: float) -> str:
    began = time.monotonic()
    try:
        wait_until(done, "it is so", patience)
    except RuntimeError:
        return NEVER
    return f"{time.monotonic() - began:.0f}"


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
