"""What a source's texts mean: stars and points in time, by its declaration."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from movierec_assets.ratings.declaration import (
    UNITS,
    Counts,
    Declaration,
    Events,
    Range,
    Stars,
    Thumbs,
    Time,
)

# float() reads more than people mean: "nan", "inf", " 4 ", "1_0", full-width digits.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
# Whole seconds that nanoseconds in 64 bits can hold; a later one is after any day all the same.
_LAST_SECOND = pd.Timestamp.max.value // 1_000_000_000
NO_TIME = np.iinfo(np.int64).min  # NaT


def stars_of(text: str, declared: Declaration) -> float:
    """The stars that a rating is worth, NaN where it says nothing.

    A number outside a declared range stays as it is, and so is no rating.
    """
    scale = declared.scale
    match scale:
        case Events():
            return scale.stars
        case Thumbs():
            return _thumb(text, scale)
    number = _number(text, declared.decimal)
    match scale:
        case Stars():
            return number
        case Range():
            return _in_range(number, scale)
        case Counts():
            return min(5.0, 3.5 + 0.5 * math.floor(math.log2(number))) if number >= 1 else math.nan


def _number(text: str, decimal: str) -> float:
    if decimal == ",":
        text = text.replace(".", "x").replace(",", ".")  # no mark of thousands is read
    return float(text) if _NUMBER.fullmatch(text) else math.nan


def _thumb(text: str, scale: Thumbs) -> float:
    if text in scale.up:
        return scale.up_stars
    return scale.down_stars if text in scale.down else math.nan


def _in_range(number: float, scale: Range) -> float:
    if not scale.low <= number <= scale.high:
        return math.nan
    return max(0.5, math.floor(10 * number / scale.high + 0.5) / 2)


def seconds_of(texts: pd.Series[str], declared: Declaration) -> NDArray[np.int64]:
    """(N,) whole seconds since 1970, rounded down; NumPy's NaT where a text is no point in time."""
    codes, unique = pd.factorize(texts.to_numpy(object))
    moments = [second_of(text, declared.time) for text in unique]
    return np.array(moments or [0], dtype=np.int64)[codes] if len(codes) else np.empty(0, np.int64)


def second_of(text: str, time: Time) -> int:
    """Whole seconds since 1970, rounded down; `NO_TIME` where a text is no point in time."""
    return _tick(text, time) if time.format is None else _moment(text, time)


def _tick(text: str, time: Time) -> int:
    if not (text.isascii() and text.isdigit()):
        return NO_TIME
    # Never int() of what may be a megabyte of digits.
    ticks = int(text) if len(text) < 22 else _LAST_SECOND * UNITS["ns"]
    return min(ticks // UNITS[time.unit], _LAST_SECOND)


def _moment(text: str, time: Time) -> int:
    try:
        if time.format == "iso":
            moment = datetime.fromisoformat(text)
        else:
            moment = datetime.strptime(text, time.format or "")  # noqa: DTZ007 - the zone follows
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(time.zone))
        seconds = math.floor(moment.astimezone(UTC).timestamp())
    except (ValueError, OverflowError):  # in UTC it may be before the year 1 or after 9999
        return NO_TIME
    return min(seconds, _LAST_SECOND) if seconds >= 0 else NO_TIME
