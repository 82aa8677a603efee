"""Which places of a list go to movies that nobody has rated.

The endpoint draws them, and the log has the list's id and the share. So a draw can be repeated, and
what another share would have brought be estimated: `movierec_assets/monitoring/replay.py`.
"""

import random


def drawn(token: str, share: float, places: int) -> list[int]:
    """The places that were drawn, from 0 on and ascending, each by itself with probability `share`.

    Args:
        token: hexadecimal, of the list's id; it says how the draw falls, in any process.
        places: of the list.
    """
    draw = random.Random(int(token, 16)).random  # noqa: S311 - no secret; numpy's costs more
    return [place for place in range(places) if draw() < share]
