"""What a source declares: how its files are written, and what their values mean."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime

import pandas as pd
import pytest

from movierec_assets.errors import ChunkError, DeclarationError
from movierec_assets.ratings.chunks import parse_chunk
from movierec_assets.ratings.declaration import Declaration, digest, parse_declaration
from movierec_assets.ratings.meaning import stars_of
from movierec_assets.ratings.validation import Outcome, validate_chunk

DAY = date(2026, 3, 7)  # the day before New York's clocks go forward
NOON = int(datetime(2026, 3, 7, 12, tzinfo=UTC).timestamp())


def declared(toml: str) -> Declaration:
    return parse_declaration(toml.encode(), "shop.toml")


def read(toml: str, content: str | bytes, name: str = "2026-03-07.csv") -> Outcome:
    declaration = declared(toml)
    content = content.encode() if isinstance(content, str) else content
    return validate_chunk(parse_chunk(content, name, declaration), DAY, declaration)


GERMAN = """
separator = ";"
decimal = ","
other_columns = "ignored"
columns = { user_id = "Kunde", movie_id = "Film", rating = "Note", timestamp = "Zeit" }
scale = { kind = "range", low = 1, high = 10 }
time = { format = "%d.%m.%Y %H:%M:%S", zone = "Europe/Berlin" }
"""


def test_a_declared_csv_is_read_by_header_with_its_marks_scale_and_times() -> None:
    rows = "Zeit;Note;Bemerkung;Film;Kunde\n07.03.2026 13:00:00;7,5;gut;m1;k1\n"
    (row,) = read(GERMAN, rows).valid.to_dict("records")
    assert row["user_id"] == "k1"
    assert row["rating"] == 4.0  # 3.75 stars
    assert row["rated_at"] == pd.Timestamp("2026-03-07 12:00")


@pytest.mark.parametrize(
    ("scale", "text", "stars"),
    [
        ('{ kind = "stars" }', "3.5", 3.5),
        ('{ kind = "range", low = 1, high = 10 }', "1", 0.5),
        ('{ kind = "range", low = 1, high = 10 }', "10", 5.0),
        ('{ kind = "range", low = 1, high = 10 }', "0", None),
        ('{ kind = "range", low = 1, high = 10 }', "11", None),
        ('{ kind = "range", high = 100 }', "0", 0.5),
        ('{ kind = "range", high = 100 }', "83", 4.0),
        ('{ kind = "range", low = 1, high = 5 }', "4", 4.0),
        ('{ kind = "thumbs" }', "up", 4.5),
        ('{ kind = "thumbs" }', "-1", 1.0),
        ('{ kind = "thumbs" }', "perhaps", None),
        ('{ kind = "thumbs", up = ["+"], up_stars = 5 }', "+", 5.0),
        ('{ kind = "counts" }', "1", 3.5),
        ('{ kind = "counts" }', "5", 4.5),
        ('{ kind = "counts" }', "100000", 5.0),
        ('{ kind = "counts" }', "0", None),
        ('{ kind = "events", stars = 4.5 }', "", 4.5),
    ],
)
def test_a_scale_gives_stars(scale: str, text: str, stars: float | None) -> None:
    found = stars_of(text, declared(f"scale = {scale}"))
    assert found == stars if stars is not None else found != found


@pytest.mark.parametrize(
    ("time", "text"),
    [
        ('{ unit = "s" }', str(NOON)),
        ('{ unit = "ms" }', f"{NOON}999"),
        ('{ unit = "us" }', f"{NOON}999999"),
        ('{ unit = "ns" }', f"{NOON}999999999"),
        ('{ format = "iso" }', "2026-03-07T12:00:00Z"),
        ('{ format = "iso" }', "2026-03-07 17:30:00+05:30"),
        ('{ format = "%Y-%m-%d %H:%M:%S" }', "2026-03-07 12:00:00"),
        ('{ format = "%Y-%m-%d %H:%M:%S", zone = "America/New_York" }', "2026-03-07 07:00:00"),
    ],
)
def test_a_point_in_time_is_whole_seconds_utc(time: str, text: str) -> None:
    rows = f"user_id,movie_id,rating,timestamp\nu,m,4,{text}\n"
    (found,) = read(f"time = {time}", rows).valid["rated_at"]
    assert found == pd.Timestamp("2026-03-07 12:00")


def test_a_business_day_ends_at_its_own_midnight() -> None:
    """A New York day is 05:00 to 05:00 UTC: read as a UTC day it lost its last five hours."""
    start = int(datetime(2026, 3, 7, 5, tzinfo=UTC).timestamp())
    times = [start - 1, start, *(start + 3600 * hour for hour in range(1, 24)), start + 86_400]
    rows = "".join(f"u,m{nth},4,{at}\n" for nth, at in enumerate(times))
    outcome = read('day_zone = "America/New_York"', f"user_id,movie_id,rating,timestamp\n{rows}")
    assert len(outcome.valid) == 25
    assert outcome.late == 1
    assert outcome.rejected["reasons"].tolist() == [["timestamp: after the day"]]


def test_events_have_no_rating_and_files_no_header() -> None:
    toml = 'header = ["timestamp", "user_id", "movie_id"]\nscale = { kind = "events" }'
    outcome = read(toml, f"{NOON},u,m\n{NOON + 1},u,m2\n")
    assert outcome.valid["rating"].tolist() == [4.0, 4.0]
    assert outcome.valid["record"].tolist() == [1, 2]


def test_several_characters_separate_without_quoting() -> None:
    toml = 'separator = "::"\nheader = ["user_id", "movie_id", "rating", "timestamp"]'
    assert len(read(toml, f"1::0114508::4::{NOON}\n").valid) == 1
    with pytest.raises(ChunkError, match="line 2: 3 fields, expected 4"):
        read(toml, f"1::2::4::{NOON}\n1::2:4::{NOON}\n")


def test_json_lines_are_read_by_name() -> None:
    toml = """
    other_columns = "ignored"
    columns = { user_id = "reviewerID", movie_id = "asin", rating = "overall", timestamp = "t" }
    """
    lines = [
        {"reviewerID": "A1", "asin": "0001", "overall": 5.0, "t": NOON, "reviewText": "good\n"},
        {"reviewerID": "A2", "asin": "0002", "overall": None, "t": NOON},
    ]
    content = "".join(json.dumps(one) + "\n" for one in lines)
    outcome = read(toml, content, "2026-03-07.jsonl")
    assert outcome.valid["movie_id"].tolist() == ["0001"]
    assert outcome.rejected["reasons"].tolist() == [["rating: not a number"]]
    assert len(read(toml, gzip.compress(content.encode()), "2026-03-07.jsonl.gz").valid) == 1
    with pytest.raises(ChunkError, match=r"line 2: not JSON"):
        read(toml, content.splitlines()[0] + "\n{\n", "2026-03-07.jsonl")


@pytest.mark.parametrize(
    ("toml", "cause"),
    [
        ("separator = ", "not TOML"),
        ('seperator = ";"', "seperator: there is no such field; did you mean separator?"),
        ('separator = ""', "separator: String should have at least 1 character"),
        ('day_zone = "Mars/Olympus"', "'Mars/Olympus' is no time zone"),
        ('scale = { kind = "range", low = 5, high = 5 }', "low is not below high"),
        ('scale = { kind = "range", high = "10" }', "scale.range.high: Input should be a valid"),
        ('scale = { kind = "smileys" }', "does not match any of the expected tags"),
        ('columns = { user = "u" }', "columns.user: there is no such field"),
    ],
)
def test_a_wrong_declaration_names_file_and_field(toml: str, cause: str) -> None:
    with pytest.raises(DeclarationError, match=r"^shop\.toml: ") as caught:
        declared(toml)
    assert cause in str(caught.value)


def test_a_digest_is_of_what_is_said_not_of_how_it_is_written() -> None:
    assert digest(declared('separator = ","\n# a comment\n')) == digest(Declaration())
    assert digest(declared('separator = ";"')) != digest(Declaration())


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        (f"u,m,4,{NOON}000", "in milliseconds"),
        (f"u,m,4,{NOON}000000", "in microseconds"),
        ("u,m,4,2026-03-07 12:00:00", "the timestamps are text such as '2026-03-07 12:00:00'"),
        (f'u,m,"4,5",{NOON}', "a decimal comma"),
        ("u,m,4,891259200000", "in milliseconds"),  # of 1998, so one digit fewer
        (f"u,m,9,{NOON}", "ratings such as '9': declare the source's scale"),
        (f"u,m,x,{NOON}", None),
    ],
)
def test_what_all_rejected_rows_have_in_common_is_said(row: str, hint: str | None) -> None:
    found = read("", f"user_id,movie_id,rating,timestamp\n{row}\n").hint
    assert found is None if hint is None else hint in str(found)
