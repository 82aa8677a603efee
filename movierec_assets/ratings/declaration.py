"""What a source declares of its files or its table: how they are written, what their values mean.

A declaration is a small TOML, `warehouse/sources/NAME.toml`. Every field has the meaning of the
default source, so that a declaration says only what is different. Unknown fields are refused.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from movierec_assets.errors import DeclarationError

UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}  # ticks in a second


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone: expected one such as Europe/Paris") from error
    return name


def _known_format(text: str) -> str:
    """`iso`, or what strptime can read a date by; else each row would fail, or the run."""
    if text == "iso":
        return text
    moment = datetime(2001, 11, 23, tzinfo=UTC)
    try:
        read = datetime.strptime(moment.strftime(text), text).replace(tzinfo=UTC)
    except (ValueError, re.error) as error:
        raise ValueError(f"{text!r} is no format of strptime: {error}") from error
    if read.year != moment.year:
        raise ValueError(f"{text!r} has no year: expected `iso`, or a format such as %Y-%m-%d")
    return text


Zone = Annotated[str, AfterValidator(_known_zone)]
Format = Annotated[str, AfterValidator(_known_format)]
HalfStars = Annotated[float, Field(ge=0.5, le=5, multiple_of=0.5)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Columns(_Strict):
    """The source's names of the four columns, found by the header and never by position."""

    user_id: str = "user_id"
    movie_id: str = "movie_id"
    rating: str = "rating"
    timestamp: str = "timestamp"

    @model_validator(mode="after")
    def _differ(self) -> Self:
        names = list(self.model_dump().values())
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{', '.join(map(repr, sorted(twice)))} is named more than once")
        return self


class Stars(_Strict):
    """Ratings are stars, 0.5 to 5.0 in halves."""

    kind: Literal["stars"] = "stars"


class Range(_Strict):
    """Ratings are numbers from `low` to `high`: 5 · rating / high stars, to the nearest half."""

    kind: Literal["range"]
    low: float = Field(default=0, allow_inf_nan=False)
    high: float = Field(gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low is not below high")
        return self


class Thumbs(_Strict):
    """Ratings are one of two words; each is worth the stars that are declared."""

    kind: Literal["thumbs"]
    up: tuple[str, ...] = ("1", "up", "like", "true", "True")
    down: tuple[str, ...] = ("0", "-1", "down", "dislike", "false", "False")
    up_stars: HalfStars = 4.5
    down_stars: HalfStars = 1.0

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if both := set(self.up) & set(self.down):
            raise ValueError(f"{', '.join(map(repr, sorted(both)))} is up and down")
        return self


class Counts(_Strict):
    """Ratings count plays, views or purchases: one is 3.5 stars, each doubling half a star more."""

    kind: Literal["counts"]


class Events(_Strict):
    """Rows are events without any rating: each is worth the same stars."""

    kind: Literal["events"]
    stars: HalfStars = 4.0


class Time(_Strict):
    """How points in time are written: a number of `unit` since 1970, or text of a `format`.

    `format` is `iso` or one of strptime's; a text that names no offset is in `zone`.
    """

    unit: Literal["s", "ms", "us", "ns"] = "s"
    format: Format | None = None
    zone: Zone = "UTC"


class Table(_Strict):
    """Ratings are rows of a database's table, which is watched; files are made of it, day by day.

    Attributes:
        url_env: the environment variable that holds SQLAlchemy's URL. The URL itself is a secret.
        name: the table or view, `ratings` or `schema.ratings`.
        watermark: a column that grows with each row that is written: a number or a point in time.
        overlap: how far below the newest watermark is looked again for rows that were committed
            late: seconds of a time, steps of a number.
        wait_minutes: how long after its end a day is still open for rows that come late.
    """

    url_env: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    name: str = Field(min_length=1)
    watermark: str = Field(min_length=1)
    overlap: int = Field(default=600, ge=0)
    wait_minutes: int = Field(default=30, ge=0)


class Declaration(_Strict):
    """One source's files and what their values mean.

    Attributes:
        quoting: whether quotation marks enclose fields, as in CSV; else they are text.
        header: the columns of files without a header line; None where the first line has them.
        other_columns: what becomes of columns that are not among the four.
        decimal: the mark before a rating's fraction.
        day_zone: where the business day of a file begins and ends at midnight.
        ids: `mended` (see `ids`), or `exact` for a source whose ids differ in what nobody sees.
        table: where rows come from if not from files; the files are then written by movierec.
    """

    separator: str = Field(default=",", min_length=1, max_length=4, pattern=r'^[^\r\n\x00"]*$')
    quoting: bool = True
    decimal: Literal[".", ","] = "."
    header: tuple[str, ...] | None = None
    other_columns: Literal["refused", "ignored"] = "refused"
    columns: Columns = Columns()
    scale: Stars | Range | Thumbs | Counts | Events = Field(default=Stars(), discriminator="kind")
    time: Time = Time()
    day_zone: Zone = "UTC"
    ids: Literal["mended", "exact"] = "mended"
    table: Table | None = None

    @model_validator(mode="after")
    def _table_has_no_marks(self) -> Self:
        written = self.separator, self.quoting, self.decimal, self.header
        if self.table is not None and written != (",", True, ".", None):
            raise ValueError("a table has no separator, quoting, decimal or header")
        return self

    @property
    def names(self) -> dict[str, str]:
        """The source's column by ours; without `rating` where rows are events."""
        named = self.columns.model_dump()
        if isinstance(self.scale, Events):
            del named["rating"]
        return named

    def day_bounds(self, day: date) -> tuple[datetime, datetime]:
        """When a file's day begins, and when it has ended; both with their zone."""
        zone = ZoneInfo(self.day_zone)
        start, end = (
            datetime(date_.year, date_.month, date_.day, tzinfo=zone)
            for date_ in (day, day + timedelta(days=1))
        )
        return start, end


PLAIN = Declaration()  # of what needs no declaration


def parse_declaration(content: bytes, name: str) -> Declaration:
    """Read a declaration's TOML.

    Raises:
        DeclarationError: it is no TOML, or a field is unknown or wrong; the message names it.
    """
    try:
        said = tomllib.loads(content.decode())
        # As JSON, so that lists may be tuples in strict mode.
        return Declaration.model_validate_json(json.dumps(said, default=str))
    except UnicodeDecodeError as error:
        raise DeclarationError(f"{name}: not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise DeclarationError(f"{name}: not TOML: {error}") from error
    except ValidationError as error:
        raise DeclarationError(f"{name}: {'; '.join(map(_fault, error.errors()))}") from error


def _fault(wrong: ErrorDetails) -> str:
    """One thing that is wrong, after the field's name."""
    field = ".".join(map(str, wrong["loc"]))
    if wrong["type"] != "extra_forbidden":
        return f"{field}: {wrong['msg'].removeprefix('Value error, ')}"
    near = difflib.get_close_matches(field, Declaration.model_fields, n=1)
    return f"{field}: there is no such field" + (f"; did you mean {near[0]}?" if near else "")


def digest(declaration: Declaration) -> str:
    """sha256 (hex) of what a declaration says, however it is written; part of a data version.

    Where a table's rows come from does not change what they mean, so it is left out.
    """
    return hashlib.sha256(declaration.model_dump_json(exclude={"table"}).encode()).hexdigest()
