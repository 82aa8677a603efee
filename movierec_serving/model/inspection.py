"""What a version must stand before it is served, in a process of its own.

Hashing and the Python loops of opening hold the interpreter for a second at MovieLens-25M's shape;
in an API process every request would wait for them.
"""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from movierec_serving.bundle import TOP_N, BundleError, Evidence, PublishedModel, selection
from movierec_serving.bundle.unrated import prepare
from movierec_serving.orphans import die_with_parent

CANARIES = 8  # users whose answers are computed
UNSOUND = 3  # the exit code that stands for a cause on stdout
TIMEOUT = 300.0  # seconds


def inspect(store: Path, version: int) -> None:
    """Every byte, which also warms the page cache, and the answers of a few users; at the lowest
    priority.

    Raises:
        BundleError: the version must not be served; the message is the cause.
    """
    arguments = str(store), str(version), str(os.getpid())
    command = [sys.executable, "-m", "movierec_serving.model.inspection", *arguments]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BundleError(f"version {version} could not be checked: {error}") from error
    if done.returncode == UNSOUND:
        raise BundleError(done.stdout.strip())
    if done.returncode:
        raise BundleError(
            f"version {version} could not be checked: its check ended with {done.returncode}"
        )


def check(store: Path, version: int) -> None:
    """What `inspect` runs. The vectors of unrated movies are prepared, so that no request waits.

    Raises:
        BundleError, OSError: what is wrong.
    """
    model = PublishedModel.open(store, version, verify=True)
    bundle = model.bundle
    users = np.unique(np.linspace(0, len(bundle.user_ids) - 1, CANARIES).astype(np.int64))
    expected, _ = model.ranker.of_users(users, TOP_N)
    for row, items in zip(users.tolist(), expected.tolist(), strict=True):
        (answer,) = selection.for_users(model, [row], selection.Slice(TOP_N))
        listed = {item for item, _ in answer}
        # The kernel decides by float64, whose last bit may differ on the machine that published.
        if len(listed ^ {item for item in items if item >= 0}) > 2:
            raise BundleError(
                f"version {version}: the list of user row {row} is not what its factors say"
            )
        if listed & set(bundle.seen(row).tolist()):
            raise BundleError(f"version {version}: the list of user row {row} has a seen item")
    if not np.isfinite(Evidence.of_ratings(bundle, {0: 5.0}).vector()).all():
        raise BundleError(f"version {version}: a new user cannot be folded in")
    if not len(model.orders.popular):
        raise BundleError(f"version {version}: the catalogue has none of its movies")
    if bundle.family.has_factors:
        with suppress(OSError):  # without room for them each process fits them itself
            prepare(bundle.path, bundle, model.catalogue)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[3]))
    os.nice(19)  # answers come first
    try:
        check(Path(sys.argv[1]), int(sys.argv[2]))
    except (BundleError, OSError) as error:
        sys.stdout.write(str(error).replace(f"{sys.argv[1]}{os.sep}", ""))
        sys.exit(UNSOUND)
