"""Records of one user taken out of a delivered file; every other byte stays."""

from __future__ import annotations

import gzip
import io

import pandas as pd
import pytest

from movierec_assets.errors import ChunkError
from movierec_assets.maintenance.traces import Traces, same_id
from movierec_assets.ratings.rewriting import Layout, without_records


def theirs(user: str) -> bool:
    return same_id(user, "u1")


def rest(content: bytes, **layout: object) -> tuple[bytes, int]:
    return without_records(content, "a.csv", theirs, Layout(**layout))


def test_other_records_keep_their_bytes() -> None:
    content = (
        b'\xef\xbb\xbfuser_id,movie_id,note\r\nu1,m1,"two\r\nlines"\r\n"u2" ,m1,\xc3\xa9\r\n'
        b' u1\xe2\x80\x8b,m2,x\r\nu17,u1,"u1"\r\nu1\r\n'
    )
    assert rest(content) == (
        b'\xef\xbb\xbfuser_id,movie_id,note\r\n"u2" ,m1,\xc3\xa9\r\nu17,u1,"u1"\r\n',
        3,
    )


def test_a_file_without_the_user_is_the_same() -> None:
    content = b"movie_id,user_id\nu1,u2\n"
    assert rest(content) == (content, 0)


def test_separators_headers_gzip_and_parquet() -> None:
    assert rest(b"u1::m1\nu2::m1\n", separator="::", header=("user_id", "m")) == (b"u2::m1\n", 1)
    packed, count = rest(gzip.compress(b"user_id;m\nu1;1\nu2;1\n"), separator=";")
    assert (gzip.decompress(packed), count) == (b"user_id;m\nu2;1\n", 1)
    file = io.BytesIO()
    frame = pd.DataFrame({"user_id": ["u1", "u2", None], "rating": [1.5, 2.5, 3.5]})
    frame.to_parquet(file)
    packed, count = rest(file.getvalue())
    assert count == 1
    assert pd.read_parquet(io.BytesIO(packed))["rating"].tolist() == [2.5, 3.5]
    assert b"u1" not in packed


@pytest.mark.parametrize("content", [b"\xff\xfe", b"movie_id\nu1\n", b"PAR1 not really"])
def test_what_cannot_be_read_is_refused(content: bytes) -> None:
    with pytest.raises(ChunkError):
        rest(content)


@pytest.mark.parametrize(
    ("user", "text", "masked"),
    [
        ("u1", "u1 and u17, 'u1'", "[forgotten] and u17, '[forgotten]'"),
        ("zoë", '{"user": "zo\\u00eb"}', '{"user": "[forgotten]"}'),
        (
            "405",
            'rows 405, user 405, "405", 1405',
            'rows 405, user [forgotten], "[forgotten]", 1405',
        ),
        ("a.b", "a.b axb", "[forgotten] axb"),
    ],
)
def test_an_id_is_masked_as_a_word_of_its_own(user: str, text: str, masked: str) -> None:
    assert Traces(user).masked(text) == masked


def test_bytes_are_searched_in_both_encodings() -> None:
    traces = Traces("ann-77")
    assert traces.in_bytes("x ann-77 y".encode("utf-16-le"))
    assert traces.in_bytes(b"\0ann-77\0")
    assert not traces.in_bytes(b"joann-77")
    assert traces.without_lines(b"a\nfor ann-77\nb") == b"a\nb"
    assert not Traces("405").in_bytes(b"405 rows")
