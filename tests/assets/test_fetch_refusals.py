"""MovieLens data that is not what it should be: refused by file and line, and nothing written."""

import zipfile
from pathlib import Path

import pytest

from movierec_assets.cli.fetch import fetch
from movierec_assets.errors import ChunkError
from movierec_assets.sources.movielens.download import read_path
from tests.support.movielens import FORMATS, NOON, movie_csv, quiet, write_folder, write_zip

TAIL = f",{NOON}\n".encode()


@pytest.mark.parametrize(
    ("form", "name", "content", "line", "cause"),
    [
        ("csv", "ml/ratings.csv", b"userId,movieId,rating\n1,2,3\n", 1, "missing 'timestamp'"),
        (
            "csv",
            "ml/ratings.csv",
            b"userId,movieId,rating,timestamp\n1,2,3" + TAIL + b"1,2,x" + TAIL,
            3,
            "rating 'x'",
        ),
        (
            "csv",
            "ml/ratings.csv",
            b"userId,movieId,rating,timestamp\n1,2,3" + TAIL + b"1,2,3\n",
            3,
            "3 fields, expected 4",
        ),
        (
            "csv",
            "ml/ratings.csv",
            b"userId,movieId,rating,timestamp\n1,2,3" + TAIL + b"\n1,2,3" + TAIL,
            3,
            "a blank line",
        ),
        (
            "csv",
            "ml/ratings.csv",
            b"userId,movieId,rating,timestamp\n-1,2,3" + TAIL,
            2,
            "user id '-1'",
        ),
        (
            "csv",
            "ml/ratings.csv",
            b"userId,movieId,rating,timestamp\n1,2,3,1.5e9\n",
            2,
            "timestamp '1.5e9'",
        ),
        (
            "csv",
            "ml/ratings.csv",
            b"userId,movieId,rating,timestamp\n1,,3" + TAIL,
            2,
            "movie id ''",
        ),
        (
            "csv",
            "ml/ratings.csv",
            b"userId,movieId,rating,timestamp\n1,1,\xff" + TAIL,
            2,
            "not UTF-8: byte 0xff",
        ),
        ("csv", "ml/ratings.csv", b"userId,movieId,rating,timestamp\n", None, "no ratings"),
        ("csv", "ml/ratings.csv", b"", None, "zero bytes"),
        ("csv", "ml/movies.csv", b"movieId,title,genres\n1,A\n", 2, "2 fields, expected 3"),
        ("csv", "ml/movies.csv", b"movieId,title,genres\n1,A,\n1,B,\n", 3, "movie 1 again"),
        ("csv", "ml/movies.csv", b'movieId,title,genres\n1,"A,\n', 2, "not CSV"),
        ("csv", "ml/movies.csv", b"movieId,title,genres\n1,A\xe9,\n", 2, "not UTF-8"),
        ("csv", "ml/movies.csv", b"movieId,title,genres\nx,A,\n", 2, "movie id 'x'"),
        ("colons", "ml/ratings.dat", b"1::2::3::4\n1::2:3::4\n", 2, "3 fields, expected 4"),
        ("colons", "ml/movies.dat", b"1::A\n", 1, "2 fields, expected 3"),
        ("tab", "ml/u.data", b"1\t2\t3\t4\n1\t2\tthree\t4\n", 2, "rating 'three'"),
        ("tab", "ml/u.item", b"1|A|B\n", 1, "3 fields, expected 24"),
        (
            "recbole",
            "a/b/ml.inter",
            b"user_id:token\titem_id:token\n",
            1,
            "missing 'rating', 'timestamp'",
        ),
        (
            "recbole",
            "a/b/ml.item",
            b"item_id:token\n1\tA\n",
            1,
            "missing 'movietitle', 'releaseyear', 'class'",
        ),
    ],
)
def test_a_faulty_source_is_refused_with_file_and_line(
    tmp_path, landing, form, name, content, line, cause
):
    source = write_zip(tmp_path / "data.zip", FORMATS[form] | {name: content})
    with pytest.raises(ChunkError) as caught:
        fetch(None, source, landing, tmp_path, console=quiet())
    assert (caught.value.file, caught.value.line) == (name, line)
    assert cause in caught.value.cause
    assert not Path(landing.path).exists()


@pytest.mark.parametrize("times", [(NOON, NOON * 1000), (NOON * 1000, NOON * 1000 + 1)])
def test_timestamps_that_are_not_seconds_are_refused(tmp_path, landing, times):
    ratings = "userId,movieId,rating,timestamp\n1,1,4,{}\n1,1,4,{}\n".format(*times).encode()
    source = write_folder(tmp_path / "data", movie_csv("1,A,") | {"ratings.csv": ratings})
    with pytest.raises(ChunkError, match="in seconds"):
        fetch(None, source, landing, tmp_path, console=quiet())


def test_a_source_without_or_with_several_data_sets_is_refused(tmp_path):
    with pytest.raises(ChunkError, match="no MovieLens data in it"):
        read_path(write_folder(tmp_path / "none", {"ratings.csv": b"", "readme.md": b""}))
    both = {
        **FORMATS["tab"],
        **{name.replace("ml/", "other/"): content for name, content in FORMATS["csv"].items()},
    }
    with pytest.raises(
        ChunkError, match=r"several data sets in it: ml/u\.data, other/ratings\.csv"
    ):
        read_path(write_folder(tmp_path / "both", both))
    nested = {
        **FORMATS["tab"],
        **{f"old/{name}": content for name, content in FORMATS["tab"].items()},
    }
    assert len(read_path(write_folder(tmp_path / "nested", nested)).ratings) == 5


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "text.zip").write_bytes(b"no zip")
    with pytest.raises(ChunkError, match="not a readable zip archive"):
        read_path(tmp_path / "text.zip")
    with pytest.raises(ChunkError, match="no such file or folder"):
        read_path(tmp_path / "gone.zip")
    whole = write_zip(tmp_path / "whole.zip", FORMATS["csv"])
    damaged = bytearray(whole.read_bytes())
    damaged[60] ^= 0xFF
    (tmp_path / "damaged.zip").write_bytes(damaged)
    with pytest.raises(ChunkError):
        read_path(tmp_path / "damaged.zip")


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_refused_however_it_is_packed(tmp_path, compression):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in FORMATS["csv"].items():
            archive.writestr(name, content)
    damaged = bytearray(path.read_bytes())
    damaged[70] ^= 0xFF  # in the first member
    path.write_bytes(damaged)
    with pytest.raises(ChunkError, match="not a readable zip archive"):
        read_path(path)


@pytest.mark.parametrize(("movies", "cause"), [((), "there are none"), (("1,A\0,",), "NUL")])
def test_a_catalogue_that_could_not_be_read_takes_nothings_place(tmp_path, landing, movies, cause):
    landing.deliver_movies(b"movie_id,title,year,genres\n")
    before = landing.read_movies()
    ratings = f"userId,movieId,rating,timestamp\n1,1,4,{NOON}\n".encode()
    source = write_folder(tmp_path / "data", movie_csv(*movies) | {"ratings.csv": ratings})
    with pytest.raises(ChunkError, match=cause):
        fetch(None, source, landing, tmp_path, console=quiet())
    assert (landing.read_movies(), landing.days()) == (before, [])


def test_a_zip_bomb_is_refused_before_it_is_read(tmp_path):
    bomb = write_zip(tmp_path / "bomb.zip", FORMATS["tab"] | {"ml/u.data": b"0" * 20_000_000})
    with pytest.raises(ChunkError, match=r"ml/u\.data: 20,000,000 bytes out of"):
        read_path(bomb)


def test_a_member_with_a_path_that_climbs_is_written_nowhere(tmp_path, landing):
    files = {f"../../{name}": content for name, content in FORMATS["tab"].items()}
    source = write_zip(tmp_path / "climbs.zip", files)
    fetch(None, source, landing, tmp_path, console=quiet())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["climbs.zip", "landing"]
