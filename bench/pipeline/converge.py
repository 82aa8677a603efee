"""How soon every endpoint serves production once what kept it from that is gone: `python -m bench
converge`.

A real daemon and two real endpoints; each cause is made, seen to fail with growing pauses, and
taken away.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

from bench.goals import goal
from bench.pipeline.small_platform import DAYS, Platform, platform
from movierec_assets.platform import wired
from movierec_assets.settings import settings

Row = tuple[str, float, list[float]]


def main() -> bool:
    """Print the table; whether each cause was followed by convergence within five minutes and a
    tick.
    """
    logging.disable(logging.WARNING)
    with (
        tempfile.TemporaryDirectory(prefix="movierec-converge-") as folder,
        platform(Path(folder) / "home") as site,
    ):
        rows = []
        for scenario in (
            undisturbed,
            one_down,
            both_down,
            wrong_token,
            corrupt_store,
            damaged_bundle,
            daemon_stopped,
        ):
            rows.append(scenario(site))
            name, seconds, pauses = rows[-1]
            print(
                f"{name}: {seconds:.1f} s; pauses "
                f"{', '.join(f'{pause:.0f}' for pause in pauses) or '-'}",
                flush=True,
            )
    return goal("convergence, longest s", max(seconds for _, seconds, _ in rows), 320, digits=1)


def undisturbed(site: Platform) -> Row:
    site.promote(2)
    return "nothing wrong: from promotion", site.converged(), []


def one_down(site: Platform) -> Row:
    site.stop("B")
    site.promote(3)
    at_once = site.converged(site.urls[0])
    pauses = site.failed(3, "does not answer")
    site.start("B")
    return f"one of two down (the other after {at_once:.1f} s)", site.converged(), pauses


def both_down(site: Platform) -> Row:
    site.stop("A", "B")
    site.promote(4)
    pauses = site.failed(3, "2 of 2 endpoints")
    site.start("A")
    site.start("B")
    return "both down at promotion", site.converged(), pauses


def wrong_token(site: Platform) -> Row:
    site.stop("B")
    site.start("B", MOVIEREC_RELOAD_TOKEN="another")  # noqa: S106
    site.promote(5)
    pauses = site.failed(2, "has another MOVIEREC_RELOAD_TOKEN")
    site.stop("B")
    site.start("B")
    return "wrong token", site.converged(), pauses


def corrupt_store(site: Platform) -> Row:
    store = settings().warehouse / "models"
    shutil.copytree(store / "5", store / "6")
    (store / "6" / "top_items.npy").write_bytes(b"no array")
    site.promote(6)
    return "corrupt version in the store: from promotion", site.converged(), []


def damaged_bundle(site: Platform) -> Row:
    registry = wired().model_registry
    file = Path(wired().bundle_store.served(registry.get(7).identity)) / "user_factors.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.unlink()
    file.write_bytes(content)
    site.promote(7)
    pauses = site.failed(2, f"materialize als_model of {DAYS[6]} again")
    site.run("daily", days=(DAYS[6], DAYS[6]), assets=("als_model",))
    return "damaged bundle, its day trained again", site.converged(), pauses


def daemon_stopped(site: Platform) -> Row:
    site.stop("daemon")
    for version in (8, 9, 10):
        site.promote(version)
    site.start("daemon")
    return "daemon stopped during three promotions: from its start", site.converged(), []
