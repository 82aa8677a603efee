"""A day's delivered rows, each judged: valid, rejected with its reasons, or superseded."""

import datetime
import re
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandera.errors import SchemaError, SchemaErrorReason, SchemaErrors

from movierec_assets.ratings.chunks import COLUMNS
from movierec_assets.ratings.schema import NULL, Ratings

# float() reads more than people mean: "nan", "inf", " 4 ", "1_0", full-width digits.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
# Whole seconds that nanoseconds in 64 bits can hold; a later one is after any day all the same.
_LAST_SECOND = pd.Timestamp.max.value // 1_000_000_000


@dataclass(frozen=True)
class Outcome:
    """What became of a chunk's rows: each is in exactly one of `valid`, `rejected` and the
    superseded.

    Attributes:
        valid: `record`, `user_id`, `movie_id`, `rating` (float64, stars) and `rated_at`
            (datetime64[ns], UTC without saying so), one row per (user, movie), by record.
        rejected: `record` and the text columns as delivered, with `reasons`, a list of str in the
            order of the schema, by record.
        superseded: how many valid rows gave way to a later one of the same user and movie.
        late: how many of `valid` were rated before the day began.
    """

    valid: pd.DataFrame
    rejected: pd.DataFrame
    superseded: int
    late: int


def validate_chunk(raw: pd.DataFrame, day: datetime.date) -> Outcome:
    """Judge each row by `Ratings`, then keep the last valid rating of each user and movie.

    Last is by (rated_at, record), and decided after validating: a bad last row does not take a good
    earlier one along. Deterministic, whatever the order or index of `raw`.

    Args:
        raw: `record` (integers, distinct) and `COLUMNS` as text, as of `parse_chunk`; None counts
            as "".
        day: the day that the chunk was delivered for, UTC.
    """
    raw = raw[["record", *COLUMNS]].sort_values("record", ignore_index=True).fillna("")
    typed = _typed(raw, day)
    reasons = _reasons(typed)
    bad = np.zeros(len(raw), dtype=bool)
    bad[list(reasons)] = True
    rejected = raw[bad].reset_index(drop=True)
    in_order = dict(enumerate(reasons[row] for row in sorted(reasons)))
    rejected["reasons"] = pd.Series(in_order, dtype=object)

    good = typed[~bad].drop(columns="day")
    # The sort is stable and rows are in order of record, which so settles ties.
    in_time = good.sort_values("rated_at", kind="stable")
    last = ~in_time.duplicated(["user_id", "movie_id"], keep="last").sort_index()
    valid = good[last].reset_index(drop=True)
    late = int((valid["rated_at"] < pd.Timestamp(day)).sum())
    return Outcome(valid, rejected, len(good) - len(valid), late)


def _typed(raw: pd.DataFrame, day: datetime.date) -> pd.DataFrame:
    """Give each column its type; what cannot be read becomes null, and no row is lost."""
    number = {
        text: float(text) if _NUMBER.fullmatch(text) else np.nan for text in raw["rating"].unique()
    }
    seconds = [_seconds(text) for text in raw["timestamp"]]
    return pd.DataFrame(
        {
            "record": raw["record"].astype("int64"),
            "user_id": raw["user_id"],
            "movie_id": raw["movie_id"],
            "rating": raw["rating"].map(number).astype("float64"),
            "rated_at": np.array(seconds, dtype="datetime64[s]").astype("datetime64[ns]"),
            "day": np.full(len(raw), np.datetime64(day, "ns")),
        }
    )


def _seconds(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    # Never int() of what may be a megabyte of digits.
    return min(int(text), _LAST_SECOND) if len(text) < 19 else _LAST_SECOND


def _reasons(typed: pd.DataFrame) -> dict[int, list[str]]:
    """Name, by row, all that the schema holds against it; rows without fault are absent."""
    try:
        Ratings.validate(typed, lazy=True)
    except SchemaErrors as errors:
        reasons: dict[int, list[str]] = {}
        for error in errors.schema_errors:
            reason = _in_words(error)
            for row in dict.fromkeys(_rows(error)):
                reasons.setdefault(row, []).append(reason)
        return reasons
    return {}


def _in_words(error: SchemaError) -> str:
    if error.reason_code is SchemaErrorReason.SERIES_CONTAINS_NULLS:
        return str(error.schema.metadata[NULL])
    if error.reason_code is SchemaErrorReason.DATAFRAME_CHECK:
        of_all_columns = error.schema.name == Ratings.__name__
        return (
            str(error.check.error)
            if of_all_columns
            else f"{error.schema.name}: {error.check.error}"
        )
    raise error  # a frame of the wrong shape is a fault of ours, and none of the row's


def _rows(error: SchemaError) -> list[int]:
    rows: list[Hashable] = error.failure_cases["index"].tolist()
    return [int(str(row)) for row in rows]
