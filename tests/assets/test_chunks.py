"""What is read as a chunk, and what is refused with its line."""

import datetime
import io

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec_assets.errors import ChunkError
from movierec_assets.ratings.catalogue import parse_movies
from movierec_assets.ratings.chunks import COLUMNS, parse_chunk

HEADER = b"user_id,movie_id,rating,timestamp\n"


def parquet(**columns: object) -> bytes:
    out = io.BytesIO()
    pd.DataFrame(columns).to_parquet(out)
    return out.getvalue()


def test_rows_come_as_they_were_delivered_and_numbered():
    frame = parse_chunk(HEADER + b" 1,caf\xc3\xa9,4.50,007\n,,nan,\n", "d.csv")
    assert list(frame.columns) == ["record", *COLUMNS]
    assert frame["record"].dtype == "int64"
    assert frame.values.tolist() == [[1, " 1", "café", "4.50", "007"], [2, "", "", "nan", ""]]
    assert all(frame[column].dtype == object for column in COLUMNS)


def test_columns_may_come_in_any_order():
    frame = parse_chunk(b"timestamp,rating,user_id,movie_id\n9,4,u,m\n", "d.csv")
    assert frame.values.tolist() == [[1, "u", "m", "4", "9"]]


@pytest.mark.parametrize(
    "content", [HEADER, HEADER.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + HEADER]
)
def test_a_header_alone_is_an_empty_day(content):
    frame = parse_chunk(content, "d.csv")
    assert frame.empty
    assert list(frame.columns) == ["record", *COLUMNS]
    assert frame["record"].dtype == "int64"


def test_windows_line_ends_and_a_byte_order_mark_are_accepted():
    frame = parse_chunk(b"\xef\xbb\xbf" + HEADER.replace(b"\n", b"\r\n") + b"u,m,4,9\r\n", "d.CSV")
    assert frame.values.tolist() == [[1, "u", "m", "4", "9"]]


def test_a_quoted_newline_makes_lines_and_records_differ():
    content = HEADER + b'"u\n1","m,""2""",4,9\nu,m,3,9\n'
    assert parse_chunk(content, "d.csv")[["record", "user_id", "movie_id"]].values.tolist() == [
        [1, "u\n1", 'm,"2"'],
        [2, "u", "m"],
    ]
    with pytest.raises(ChunkError) as caught:
        parse_chunk(content + b"u,m,4\n", "d.csv")
    assert caught.value.line == 5


@pytest.mark.parametrize(
    ("content", "line", "cause"),
    [
        (b"", None, "zero bytes"),
        (b"\n", 1, "missing 'user_id', 'movie_id', 'rating', 'timestamp'"),
        (b"\xef\xbb\xbf", 1, "no newline at the end"),
        (b"user_id,movie_id,rating\n", 1, "missing 'timestamp'"),
        (b"user_id,movie_id,stars,timestamp\n", 1, "missing 'rating'; unknown 'stars'"),
        (b"user_id,movie_id,rating,timestamp,note\nu,m,4,9,x\n", 1, "unknown 'note'"),
        (b"user_id,movie_id,rating,timestamp,rating\nu,m,4,9,4\n", 1, "repeated 'rating'"),
        (b"u,m,4,9\n", 1, "unknown 'u', 'm', '4', '9'"),
        (HEADER[:-1], 1, "no newline at the end"),
        (HEADER.replace(b"\n", b"\r"), 1, "lines end in a carriage return alone"),
        (HEADER + b"u,m,4,9\nu,m,4,88125", 3, "no newline at the end"),
        (HEADER + b"u,m,4,9\nu,m,4\n", 3, "3 fields, expected 4"),
        (HEADER + b"u\n", 2, "1 field, expected 4"),
        (HEADER + b"u,m,4,9\nu,m,4,9,\n", 3, "5 fields, expected 4"),
        (HEADER + b"u,m,4,9\n\nu,m,4,9\n", 3, "a blank line"),
        (HEADER + b"u,m,4,9\n\n", 3, "a blank line"),
        (HEADER + b"u,m,4,9\nu,m\0,4,9\n", 3, "a NUL byte"),
        (HEADER + b'u,m,4,9\n"u,m,4,9\nu,m,4,9\n', 3, "not CSV: unexpected end of data"),
        (HEADER + b'u,m,4,9\n"u"x,m,4,9\n', 3, "not CSV: ',' expected after '\"'"),
        (HEADER + b"u,m,4,9\nu,caf\xe9,4,9\n", 3, "not UTF-8: byte 0xe9: save it as UTF-8"),
        ((HEADER + b"u,m,4,9\n").decode().encode("utf-16"), 1, "not UTF-8: byte 0xff"),
        (HEADER + b"u" * 200_000 + b",m,4,9\n", 2, "not CSV: field larger than field limit"),
    ],
)
def test_a_faulty_file_is_refused_with_its_line_and_cause(content, line, cause):
    with pytest.raises(ChunkError) as caught:
        parse_chunk(content, "2020-01-01.csv")
    assert (caught.value.file, caught.value.line) == ("2020-01-01.csv", line)
    assert cause in caught.value.cause
    where = "2020-01-01.csv" if line is None else f"2020-01-01.csv, line {line}"
    assert str(caught.value) == f"{where}: {caught.value.cause}"


def test_an_unknown_suffix_is_refused():
    with pytest.raises(ChunkError, match=r"d\.txt: unknown format '\.txt'"):
        parse_chunk(HEADER, "d.txt")


@given(st.binary(max_size=80), st.sampled_from(["d.csv", "d.parquet"]))
def test_any_bytes_are_read_or_refused(content, name):
    try:
        frame = parse_chunk(
            HEADER + content if name == "d.csv" else b"PAR1" + content + b"PAR1", name
        )
    except ChunkError:
        return
    assert list(frame["record"]) == list(range(1, len(frame) + 1))


@settings(max_examples=50)
@given(st.integers(min_value=1, max_value=len(HEADER) + 20))
def test_no_cut_passes_in_silence_unless_between_records(cut):
    content = HEADER + b'u,"m,1",4,881250949\n'
    if content[:cut].endswith(b"\n"):
        parse_chunk(content[:cut], "d.csv")
    else:
        with pytest.raises(ChunkError):
            parse_chunk(content[:cut], "d.csv")


def test_parquet_values_become_text():
    content = parquet(
        timestamp=pd.array([881250949, 2, None], dtype="Int64"),
        rating=[4.0, 3.5, None],
        user_id=[1, 2, 3],
        movie_id=["a", None, "c\nd"],
    )
    assert parse_chunk(content, "d.parquet").values.tolist() == [
        [1, "1", "a", "4.0", "881250949"],
        [2, "2", "", "3.5", "2"],
        [3, "3", "c\nd", "", ""],
    ]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Paris"])
def test_parquet_times_become_seconds_rounded_down(unit, zone):
    written = pd.Series(
        pd.to_datetime(["2020-01-01 23:59:59.9", "1969-12-31 23:59:59.9", None])
    ).dt.as_unit(unit)
    times = written if zone is None else written.dt.tz_localize("UTC").dt.tz_convert(zone)
    content = parquet(user_id=["u"] * 3, movie_id=["m"] * 3, rating=[4] * 3, timestamp=times)
    expected = "1577923199"
    assert list(parse_chunk(content, "d.parquet")["timestamp"]) == [expected, "-1", ""]


def test_parquet_categories_and_an_empty_day():
    one = {"user_id": pd.Categorical(["u"]), "movie_id": ["m"], "rating": ["4"], "timestamp": ["9"]}
    assert parse_chunk(parquet(**one), "d.parquet").values.tolist() == [[1, "u", "m", "4", "9"]]
    assert parse_chunk(parquet(**{column: [] for column in COLUMNS}), "d.parquet").empty


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "zero bytes"),
        (b"garbage that is no parquet at all", "not Parquet"),
        (parquet(user_id=["u"], movie_id=["m"], rating=[4], timestamp=[9])[:-20], "not Parquet"),
        (parquet(user_id=["u"], movie_id=["m"], rating=[4]), "columns: missing 'timestamp'"),
        (
            parquet(user_id=["u"], movie_id=["m"], rating=[4], timestamp=[9], x=[1]),
            "columns: unknown 'x'",
        ),
        (
            parquet(user_id=[["u"]], movie_id=["m"], rating=[4], timestamp=[9]),
            "column 'user_id' is of type list",
        ),
        (
            parquet(user_id=[b"u"], movie_id=["m"], rating=[4], timestamp=[9]),
            "column 'user_id' is of type binary",
        ),
        (
            parquet(user_id=["u"], movie_id=["m"], rating=[4], timestamp=[datetime.time(1)]),
            "column 'timestamp' is of type time",
        ),
    ],
)
def test_faulty_parquet_is_refused(content, cause):
    with pytest.raises(ChunkError) as caught:
        parse_chunk(content, "d.parquet")
    assert caught.value.cause.startswith(cause)


def test_parquet_that_unfolds_to_more_than_ratings_can_be_is_refused():
    many = 200_000
    bomb = parquet(
        user_id=["u"] * many, movie_id=["m"] * many, rating=[4] * many, timestamp=[9] * many
    )
    with pytest.raises(ChunkError, match="200,000 rows in"):
        parse_chunk(bomb, "d.parquet")


def test_parquet_whose_texts_unfold_to_more_than_memory_is_refused():
    long = {"user_id": ["u" * 1_000_000] * 300, "movie_id": [str(one) for one in range(300)]}
    with pytest.raises(ChunkError, match="column 'user_id' has 300,000,000 bytes of text"):
        parse_chunk(parquet(**long, rating=[4] * 300, timestamp=list(range(300))), "d.parquet")


def test_a_cause_quotes_only_so_much_of_a_file():
    with pytest.raises(ChunkError, match="missing 'user_id'") as caught:
        parse_chunk(",".join(map(str, range(100_000))).encode() + b"\n", "d.csv")
    assert len(str(caught.value)) < 600


def test_movies_keep_commas_quotes_and_accents():
    content = (
        b"movie_id,title,year,genres\n"
        b'1,"Good, the ""Bad"" and Caf\xc3\xa9 (1966)",1966,Western|Drama\n'
        b"2,Untitled,,\n"
    )
    movies = parse_movies(content, "movies.csv")
    assert movies["title"].tolist() == ['Good, the "Bad" and Café (1966)', "Untitled"]
    assert movies["year"].dtype == "Int64"
    assert movies["year"].tolist() == [1966, pd.NA]
    assert movies["genres"].tolist() == [["Western", "Drama"], []]


def test_a_catalogue_may_be_empty():
    movies = parse_movies(b"movie_id,title,year,genres\n", "movies.csv")
    assert movies.empty
    assert list(movies.columns) == ["movie_id", "title", "year", "genres"]


@pytest.mark.parametrize(
    ("rows", "line", "cause"),
    [
        (b"1,A,1990,\n1,B,1991,\n", 3, "movie_id '1' again, first in line 2"),
        (b'"1","A\nB",1990,\n,B,1991,\n', 4, "movie_id: empty"),
        (b"1,A,90,\n", 2, "year '90' is not four digits"),
        (b"1,A,1990\n", 2, "3 fields, expected 4"),
        (b"1,\xe9,1990,\n", 2, "not UTF-8: byte 0xe9"),
        (b"1,A,1990,Drama", 2, "no newline at the end"),
    ],
)
def test_a_faulty_catalogue_is_refused(rows, line, cause):
    with pytest.raises(ChunkError) as caught:
        parse_movies(b"movie_id,title,year,genres\n" + rows, "movies.csv")
    assert caught.value.line == line
    assert caught.value.cause.startswith(cause)


def test_a_catalogue_without_bytes_or_columns_is_refused():
    with pytest.raises(ChunkError, match="zero bytes"):
        parse_movies(b"", "movies.csv")
    with pytest.raises(ChunkError, match="missing 'genres'"):
        parse_movies(b"movie_id,title,year\n", "movies.csv")


def test_whole_numbers_that_parquet_keeps_as_floats_are_whole():
    content = parquet(
        user_id=[196.0, None], movie_id=[7.0, 8.0], rating=[4.0, 3.5], timestamp=[9.0, 10.0]
    )
    assert parse_chunk(content, "d.parquet").values.tolist() == [
        [1, "196", "7", "4.0", "9"],
        [2, "", "8", "3.5", "10"],
    ]
