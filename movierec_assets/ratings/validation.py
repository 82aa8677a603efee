"""A day's delivered rows, each judged: valid, rejected with its reasons, or superseded."""

import datetime
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandera.errors import SchemaError, SchemaErrorReason, SchemaErrors

from movierec_assets.ratings.chunks import COLUMNS
from movierec_assets.ratings.declaration import PLAIN, UNITS, Declaration
from movierec_assets.ratings.ids import mend_all
from movierec_assets.ratings.meaning import seconds_of, stars_of
from movierec_assets.ratings.schema import (
    NULL,
    NULL_AS_TEXT,
    OLDEST_VERSION,
    SCHEMA_VERSION,
    Ratings,
)

AT_ONCE = 200_000  # rows; Pandera copies what it checks
_OLDEST = 10**8  # seconds: 1973; a smaller number is no point in time in another unit
_MOST_DIGITS = 20  # of such a number; more are not even turned into one
_UNIT_NAMES = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_TEXT_TIME = re.compile(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}")
_COMMA = re.compile(r"[0-9]+,[0-9]+")
_ABOVE = re.compile(r"(?:[6-9]|[1-9][0-9]{1,2})(?:\.[0-9]{1,2})?")  # more than five stars


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
        mended: rows whose id was written otherwise than it is kept, by column and kind.
        schema_version: the oldest version of the schema that judges these rows the same.
        hint: what all of the rejected rows seem to have in common, if anything.
    """

    valid: pd.DataFrame
    rejected: pd.DataFrame
    superseded: int
    late: int
    mended: Mapping[str, int]
    schema_version: str
    hint: str | None


def validate_chunk(raw: pd.DataFrame, day: datetime.date, declared: Declaration = PLAIN) -> Outcome:
    """Judge each row by `Ratings`, then keep the last valid rating of each user and movie.

    Last is by (rated_at, record), and decided after validating: a bad last row does not take a good
    earlier one along. Deterministic, whatever the order or index of `raw`.

    Args:
        raw: `record` (integers, distinct) and `COLUMNS` as text, as of `parse_chunk`; None counts
            as "".
        day: the day that the chunk was delivered for, in its source's time zone.
        declared: what the chunk's source says of its values.
    """
    raw = _in_order(raw)
    bounds = map(pd.Timestamp, declared.day_bounds(day))
    begins, ends = (moment.tz_convert("UTC").tz_localize(None) for moment in bounds)
    typed, mended = _typed(raw, ends, declared)
    reasons = _reasons(typed)
    bad = np.zeros(len(raw), dtype=bool)
    bad[list(reasons)] = True
    rejected = raw[bad].reset_index(drop=True)
    in_order = dict(enumerate(reasons[row] for row in sorted(reasons)))
    rejected["reasons"] = pd.Series(in_order, dtype=object)

    del typed["ends"]
    good = typed
    if bad.any():
        good = good[~bad].reset_index(drop=True)
    kept = _last_of_each_pair(good)
    valid = good if kept.all() else good[kept].reset_index(drop=True)
    newer = bool(mended) or any(
        reason.endswith(NULL_AS_TEXT) for some in reasons.values() for reason in some
    )
    return Outcome(
        valid=valid,
        rejected=rejected,
        superseded=len(good) - len(valid),
        late=int((valid["rated_at"] < begins).sum()),
        mended=mended,
        schema_version=SCHEMA_VERSION if newer else OLDEST_VERSION,
        hint=_hint(rejected, ends, declared),
    )


def _in_order(raw: pd.DataFrame) -> pd.DataFrame:
    """The columns that are judged, by record and without nulls; not copied where they are so."""
    columns = ["record", *COLUMNS]
    if list(raw.columns) != columns:
        raw = raw[columns]
    if not raw["record"].is_monotonic_increasing:
        raw = raw.sort_values("record")
    if any(raw[column].isna().any() for column in COLUMNS):
        raw = raw.fillna("")
    return raw if raw.index.equals(pd.RangeIndex(len(raw))) else raw.reset_index(drop=True)


def _last_of_each_pair(good: pd.DataFrame) -> NDArray[np.bool_]:
    """(N,) whether a row is the last by time, then record, of its user and movie.

    Rows are in order of record, and the sort is stable, which so settles ties.
    """
    users, _ = pd.factorize(good["user_id"])
    movies, names = pd.factorize(good["movie_id"])
    pairs = users.astype(np.int64) * max(len(names), 1) + movies
    order = np.lexsort((good["rated_at"].to_numpy(), pairs))
    ordered = pairs[order]
    kept = np.ones(len(good), dtype=bool)
    kept[order[:-1][ordered[1:] == ordered[:-1]]] = False
    return kept


def _typed(
    raw: pd.DataFrame, ends: pd.Timestamp, declared: Declaration
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Give each column its type, and ids their form; what cannot be read becomes null, and no row
    is lost.
    """
    mended: dict[str, int] = {}
    kept = {}
    for column in ("user_id", "movie_id"):
        kept[column] = raw[column]
        if declared.ids == "mended":
            kept[column], counts = mend_all(raw[column])
            mended |= {f"{column}: {kind}": count for kind, count in counts.items()}
    stars = {text: stars_of(text, declared) for text in raw["rating"].unique()}
    times = seconds_of(raw["timestamp"], declared)
    frame = pd.DataFrame(
        {
            "record": raw["record"].astype("int64"),
            **kept,
            "rating": raw["rating"].map(stars).astype("float64"),
            "rated_at": times.astype("datetime64[s]").astype("datetime64[ns]"),
            "ends": np.full(len(raw), ends.to_datetime64()),
        }
    )
    return frame, mended


def _hint(rejected: pd.DataFrame, ends: pd.Timestamp, declared: Declaration) -> str | None:
    """Timestamps in another unit or as text, a decimal comma, another scale: said once, of the
    first rejected.
    """
    if rejected.empty:
        return None
    first = rejected.iloc[0]
    stamp, end = str(first["timestamp"]), int(ends.timestamp())
    ticks = int(stamp) if stamp.isdecimal() and len(stamp) <= _MOST_DIGITS else 0
    for unit, name in _UNIT_NAMES.items():
        if ticks >= end and _OLDEST <= ticks // UNITS[unit] < end:
            return f"the timestamps seem to be in {name}, expected seconds"
    if _TEXT_TIME.match(stamp) and declared.time.format is None:
        return f"the timestamps are text such as {stamp[:30]!r}: declare the source's time"
    rating = str(first["rating"])
    if _COMMA.fullmatch(rating):
        return "the ratings have a decimal comma: declare the source's decimal mark"
    if _ABOVE.fullmatch(rating):
        return f"there are ratings such as {rating!r}: declare the source's scale"
    return None


def _reasons(typed: pd.DataFrame) -> dict[int, list[str]]:
    """Name, by row, all that the schema holds against it; rows without fault are absent."""
    reasons: dict[int, list[str]] = {}
    for start in range(0, max(len(typed), 1), AT_ONCE):
        try:
            Ratings.validate(typed.iloc[start : start + AT_ONCE], lazy=True)
        except SchemaErrors as errors:
            for error in errors.schema_errors:
                reason = _in_words(error)
                for row in dict.fromkeys(_rows(error)):
                    reasons.setdefault(row, []).append(reason)
    return reasons


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
