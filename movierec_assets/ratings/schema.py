"""What a rating must be. A new rule is a field or a check here: its `error` is the reason people
read.
"""

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from movierec_assets.ratings.ids import NULLS

# Of the rules below: raise it whenever the same rows could be judged otherwise than before, and
# every chunk is judged again. 2: ids are mended, nulls written as text are rejected.
SCHEMA_VERSION = "2"
# Part of a chunk's data version: the oldest version that judges its rows as the newest does, so
# that a new rule makes new models of those chunks alone that it concerns.
OLDEST_VERSION = "1"

MAX_ID_LENGTH = 64  # characters: a UUID takes 36, a SHA-256 in hex takes 64
HALF_STARS = tuple(float(stars) for stars in np.arange(0.5, 5.5, 0.5))
NULL = "reason where null"  # a field's metadata: what is said of a value that could not be read
NULL_AS_TEXT = "a null written as text"
CONTROL_CHARACTERS = r"[\x00-\x1f\x7f-\x9f]"  # Unicode's category Cc


class Ratings(pa.DataFrameModel):
    """One row per rating of a chunk that was delivered for `day`; a value that cannot be read is
    null.
    """

    user_id: Series[str] = pa.Field(description="opaque")
    movie_id: Series[str] = pa.Field(description="opaque")
    rating: Series[float] = pa.Field(
        description="stars, 0.5 to 5.0 in steps of 0.5", metadata={NULL: "rating: not a number"}
    )
    rated_at: Series[pd.Timestamp] = pa.Field(
        description="UTC", metadata={NULL: "timestamp: not a whole number of seconds since 1970"}
    )
    ends: Series[pd.Timestamp] = pa.Field(description="UTC; when the chunk's day has ended")

    @pa.check("user_id", "movie_id", error="empty")
    @classmethod
    def not_empty(cls, ids: Series[str]) -> "pd.Series[bool]":
        return ids != ""

    @pa.check("user_id", "movie_id", error=NULL_AS_TEXT)
    @classmethod
    def not_null_as_text(cls, ids: Series[str]) -> "pd.Series[bool]":
        return ~ids.isin(NULLS)

    @pa.check("user_id", "movie_id", error=f"longer than {MAX_ID_LENGTH} characters")
    @classmethod
    def not_long(cls, ids: Series[str]) -> "pd.Series[bool]":
        return ids.str.len() <= MAX_ID_LENGTH

    @pa.check("user_id", "movie_id", error="a control character")
    @classmethod
    def printable(cls, ids: Series[str]) -> "pd.Series[bool]":
        return ~ids.str.contains(CONTROL_CHARACTERS)

    @pa.check("rating", error="not one of 0.5, 1.0 … 5.0")
    @classmethod
    def half_stars(cls, rating: Series[float]) -> "pd.Series[bool]":
        return rating.isin(HALF_STARS)

    @pa.dataframe_check(error="timestamp: after the day")
    @classmethod
    def not_after_the_day(cls, ratings: pd.DataFrame) -> "pd.Series[bool]":
        return ~(ratings["rated_at"] >= ratings["ends"])
