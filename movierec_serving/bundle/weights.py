"""What a rating in stars is worth to a model: training and answers must agree on it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_serving.errors import BundleError

LIKED_STARS = 4.0


def weight_of(stars: NDArray[Any], weighting: str) -> NDArray[Any]:
    """(N,) weight of ratings, before a family's own factor.

    Args:
        weighting: "rating" for the stars, "ones" for 1, "power:P" for (stars / 5) ** P, "positives"
            for 1 from 4 stars and 0 below, which leaves the pair out.

    Raises:
        BundleError: another weighting.
    """
    if weighting == "rating":
        return stars
    if weighting == "ones":
        return np.ones_like(stars)
    if weighting == "positives":
        return (stars >= LIKED_STARS).astype(stars.dtype)
    kind, _, power = weighting.partition(":")
    if kind != "power":
        raise BundleError(f"weighting {weighting!r} is none of rating, ones, power:P, positives")
    return np.asarray((stars / 5) ** float(power), stars.dtype)
