"""What a file of the landing zone is called: the day that a name says, or nearly says."""

import datetime
import re

from movierec_assets.ratings.chunks import SUFFIXES

MOVIES = "movies.csv"  # the catalogue
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NEARLY = re.compile(  # 2026-1-5.csv, 2026_01_05.csv, 20260105.CSV, 2026-02-30.csv
    r"([0-9]{4})[-_. ]?([0-9]{1,2})[-_. ]?([0-9]{1,2})(\.(?:csv|jsonl|parquet)(?:\.gz)?)",
    re.IGNORECASE | re.ASCII,
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
    """What a name that is nearly a chunk's should be; None for any other."""
    near = _NEARLY.fullmatch(name)
    if near is None or day_of(name):
        return None
    year, month, day, suffix = near.groups()
    meant = f"{year}-{month:0>2}-{day:0>2}"
    hint = f"is it {meant}{suffix.lower()}?" if is_day(meant) else "it is no day."
    return f"{name} is not read, {hint} Expected YYYY-MM-DD.csv or .parquet"
