"""Ids in the one form that ratings and the catalogue keep."""

from __future__ import annotations

import datetime
import unicodedata

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec_assets.errors import ChunkError
from movierec_assets.ratings.catalogue import Exchange, parse_movies
from movierec_assets.ratings.chunks import parse_chunk
from movierec_assets.ratings.declaration import Declaration
from movierec_assets.ratings.ids import NULLS, mend
from movierec_assets.ratings.validation import Outcome, validate_chunk
from tests.assets.test_chunks import parquet

DAY = datetime.date(2020, 1, 1)
NOON = "1577880000"
HEADER = "user_id,movie_id,rating,timestamp\n"
MOVIES = "movie_id,title,year,genres\n"


def judge(*users: str, declared: Declaration | None = None) -> Outcome:
    """A day in which each of these rated a movie of its own."""
    rows = [[number, user, f"m{number}", "4", NOON] for number, user in enumerate(users)]
    raw = pd.DataFrame(rows, columns=["record", "user_id", "movie_id", "rating", "timestamp"])
    return validate_chunk(raw, DAY, declared or Declaration())


@pytest.mark.parametrize(
    ("text", "kept", "kinds"),
    [
        ("42", "42", ()),
        ("0000008", "0000008", ()),
        ("42 ", "42", ("blanks",)),
        ("\u00a0\u300042", "42", ("blanks",)),
        ("42\u200b", "42", ("no width",)),
        ("\ufeff42", "42", ("no width",)),
        ("\u200b \u200b42", "42", ("no width", "blanks")),
        ("cafe\u0301", "café", ("Unicode form",)),
        ("42.0", "42", ("decimals",)),
        ("007.00 ", "007", ("blanks", "decimals")),
        ("42.5", "42.5", ()),
        ("v42.0", "v42.0", ()),
        (".0", ".0", ()),
        ("👩\u200d👧", "👩\u200d👧", ()),
        ("👩\u200d", "👩", ("no width",)),
        ("a b", "a b", ()),
    ],
)
def test_what_nobody_sees_is_mended_and_named(text: str, kept: str, kinds: tuple[str, ...]) -> None:
    assert mend(text) == (kept, kinds)


@given(st.text(alphabet="a0. \u0301\u00e9\u200b\u200d\ufeff\u00a0١", max_size=8))
def test_a_mended_id_is_its_own(text: str) -> None:
    kept, kinds = mend(text)
    assert mend(kept) == (kept, ())
    assert (kept != text) == bool(kinds)
    assert unicodedata.is_normalized("NFC", kept)


def test_mended_rows_are_counted_by_kind_and_no_user_is_new() -> None:
    outcome = judge("42", "42 ", "42.0", "42\u200b", "u7")
    assert outcome.valid["user_id"].tolist() == ["42"] * 4 + ["u7"]
    assert outcome.mended == {
        "user_id: blanks": 1,
        "user_id: decimals": 1,
        "user_id: no width": 1,
    }


@pytest.mark.parametrize("text", [*NULLS, " NULL", "nan\u200b"])
def test_a_null_written_as_text_is_rejected(text: str) -> None:
    outcome = judge("u", text)
    assert outcome.rejected["reasons"].tolist() == [["user_id: a null written as text"]]
    assert outcome.rejected["user_id"].tolist() == [text]  # as delivered


def test_blanks_alone_are_empty() -> None:
    assert judge(" \u200b").rejected["reasons"].tolist() == [["user_id: empty"]]


def test_a_source_may_declare_its_ids_exact() -> None:
    outcome = judge("42", "42 ", "42.0", declared=Declaration(ids="exact"))
    assert outcome.valid["user_id"].tolist() == ["42", "42 ", "42.0"]
    assert outcome.mended == {}


def test_a_chunk_that_the_newer_rules_leave_alone_keeps_its_data_version() -> None:
    assert judge("u1", "u2", "").schema_version == "1"
    assert judge("u1", "u2 ").schema_version == "2"
    assert judge("u1", "NULL").schema_version == "2"


@pytest.mark.parametrize(
    "user", ["0000008", pd.Series([8], dtype="int64"), pd.Series([8.0, None])], ids=str
)
def test_an_id_is_the_same_in_every_format(user: object) -> None:
    one = {"movie_id": ["m"], "rating": [4.0], "timestamp": [int(NOON)]}
    if isinstance(user, str):
        frames = [
            parse_chunk(f"{HEADER}{user},m,4,{NOON}\n".encode(), "d.csv"),
            parse_chunk(parquet(user_id=[user], **one), "d.parquet"),
            parse_chunk(
                f'{{"user_id":"{user}","movie_id":"m","rating":4,"timestamp":{NOON}}}\n'.encode(),
                "d.jsonl",
            ),
        ]
        assert {frame["user_id"][0] for frame in frames} == {user}
    else:
        rows = {name: values * len(user) for name, values in one.items()}  # type: ignore[arg-type]
        frame = parse_chunk(parquet(user_id=user, **rows), "d.parquet")
        assert frame["user_id"][0] == "8"


def test_the_catalogue_keeps_ids_and_genres_in_the_same_form() -> None:
    rows = '0000008,A,1990, Drama |War\n42.0 ,B,,(no genres listed)\n"cafe\u0301",C,1991.0,\n'
    movies = parse_movies((MOVIES + rows).encode(), "movies.csv")
    assert movies["movie_id"].tolist() == ["0000008", "42", "café"]
    assert movies["genres"].tolist() == [["Drama", "War"], [], []]
    assert movies["year"].dropna().tolist() == [1990, 1991]  # which pandas writes as 1991.0


@pytest.mark.parametrize(
    ("rows", "cause"),
    [
        ("42,A,1990,\n42.0,B,1991,\n", "movie_id '42.0' again, first in line 2"),
        ("NULL,A,1990,\n", "movie_id 'NULL': a null written as text"),
        (" ,A,1990,\n", "movie_id: empty"),
    ],
)
def test_a_catalogue_with_an_id_that_is_none_or_twice_is_refused(rows: str, cause: str) -> None:
    with pytest.raises(ChunkError, match="line") as caught:
        parse_movies((MOVIES + rows).encode(), "movies.csv")
    assert caught.value.cause == cause


def test_a_catalogue_may_carry_days_and_further_columns() -> None:
    header = "genres,available_from,title,studio,movie_id,available_until,year\n"
    content = header + "Drama,2026-01-05,A,Acme,1,,1990\n,,B,,2,2026-02-01,\n"
    movies = parse_movies(content.encode(), "movies.csv")
    assert movies["available_from"].tolist() == ["2026-01-05", None]
    assert movies["available_until"].tolist() == [None, "2026-02-01"]
    assert movies["extra"].tolist() == ['{"studio": "Acme"}', '{"studio": ""}']
    with pytest.raises(ChunkError, match="available_from 'soon' is no day"):
        parse_movies((header + "Drama,soon,A,Acme,1,,1990\n").encode(), "movies.csv")
    with pytest.raises(ChunkError, match="available_until 2026-01-01 is before available_from"):
        parse_movies((header + ",2026-01-05,A,,1,2026-01-01,\n").encode(), "movies.csv")


@pytest.mark.parametrize(
    ("before", "after", "gone", "refused"),
    [
        (0, 0, 0, None),
        (0, 50, 0, None),
        (100, 0, 100, "it has no movies"),
        (100, 70, 30, "30 of 100 movies are gone (30.0%, at most 20.0%"),
        (100, 90, 20, None),
    ],
)
def test_a_catalogue_that_shrinks_too_much_is_refused(
    before: int, after: int, gone: int, refused: str | None
) -> None:
    reason = Exchange(before, after, gone).refused(0.2)
    assert reason is None if refused is None else refused in str(reason)
