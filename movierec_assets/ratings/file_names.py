"""What a file of the landing zone is called: the day that a name says, or nearly says."""

import datetime
import re

from movierec_assets.ratings.chunks import SUFFIXES

MOVIES = "movies.csv"  # the catalogue
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NEARLY = re.compile(  # 2026-1-5.csv, 20260105.CSV, 05.01.2026.csv, ratings-2026-01-05 (2).csv
    r"""(?:[^.\d\x00-\x1f][^\d\x00-\x1f]*)?  # no hidden file: a writer may be at it
    (?:(?P<year>\d{4})[-_. ]?(?P<month>\d{1,2})[-_. ]?(?P<day>\d{1,2})
      |(?P<day_first>\d{1,2})[-_. ](?P<month_next>\d{1,2})[-_. ](?P<year_last>\d{4}))
    (?:[^\d.\x00-\x1f][^.\x00-\x1f]*)?  # what copies and downloads add
    \.(?P<suffix>(?:csv|jsonl|parquet)(?:\.gz)?|txt|tsv|json|xlsx?|(?:csv\.)?zip)""",
    re.IGNORECASE | re.ASCII | re.VERBOSE,
)
_SOURCE = re.compile(r"(?!movies$)[a-z0-9][a-z0-9_-]{0,63}")  # a folder's name


def is_source(name: str) -> bool:
    """Whether a source may be called so."""
    return bool(_SOURCE.fullmatch(name))


def is_day(text: str) -> bool:
    if not _DAY.fullmatch(text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def check_day(day: str) -> None:
    """Raises ValueError unless it is YYYY-MM-DD."""
    if not is_day(day):
        raise ValueError(f"{day!r} is not a day: expected YYYY-MM-DD")


def day_of(name: str) -> str | None:
    """The day that a file's name says, None if it is no chunk's name."""
    day, suffix = name[:10], name[10:]
    return day if suffix in SUFFIXES and is_day(day) else None


def is_file(name: str) -> bool:
    """Whether a path below the landing zone is that of a chunk or of the catalogue."""
    folder, _, file = name.rpartition("/")
    return name == MOVIES or (is_source(folder) and day_of(file) is not None)


def nearly(name: str) -> str | None:
    """What a name that is nearly a chunk's should be, or what to do with the file; None for any
    other.
    """
    near = _NEARLY.fullmatch(name)
    if near is None or day_of(name):
        return None
    said = near.groupdict()
    year, month = said["year"] or said["year_last"], said["month"] or said["month_next"]
    day = f"{year}-{month:0>2}-{said['day'] or said['day_first']:0>2}"
    suffix = said["suffix"].lower()
    if not is_day(day):
        hint = "it is no day. Expected YYYY-MM-DD.csv or .parquet"
    elif suffix.startswith("xls"):
        hint = f"an Excel workbook: save it as {day}.csv"
    elif suffix.endswith("zip"):
        hint = f"a zip archive: unpack it, as {day}.csv"
    else:
        meant = suffix if f".{suffix}" in SUFFIXES else "csv"
        hint = f"is it {day}.{meant}? Expected YYYY-MM-DD.csv or .parquet"
    return f"{name} is not read, {hint}"
