"""One list drafted from two rankings: whose movies people take up says which ranking they prefer.

The endpoint shows such lists, and the log says whose each place was. What follows from them is
`movierec_assets/monitoring/arms.py`'s.
"""

import hashlib
from collections.abc import Sequence


def draft(
    one: Sequence[str], other: Sequence[str], n: int, seed: str
) -> list[tuple[str, int | None]]:
    """Team draft: Radlinski, Kurup and Joachims (2008), "How does clickthrough data reflect
    retrieval quality?". In each round a coin says which ranking comes first, and each adds the best
    movie that the list lacks.

    What comes next in both rankings belongs to both and costs nobody a turn: a coin alone would say
    whose it is. So a round has the same two movies whatever the coin says, and whoever takes movies
    up regardless of the rankings takes as many of either, at any place.

    Args:
        one: ids, best first; `other` likewise.
        seed: says how the coins fall, in every process and at any time.

    Returns:
        The first `n` movies, each with 0 if `one` placed it, 1 if `other` did, and None where both
        would have, or where one of them has ended.
    """
    drafted: dict[str, int | None] = {}
    rests = iter(one), iter(other)
    for byte in hashlib.shake_256(seed.encode(errors="surrogatepass")).digest(n):
        pair = [next((movie for movie in rest if movie not in drafted), None) for rest in rests]
        first = byte & 1
        chosen = pair[0] != pair[1] and None not in pair
        for side in (first, 1 - first):
            if (movie := pair[side]) is not None:
                drafted[movie] = side if chosen else None
        if len(drafted) >= n:
            break
    return list(drafted.items())[:n]
