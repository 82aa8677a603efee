"""Every MovieLens format into the landing zone, a file a day."""

import gzip
import io
import zipfile
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from movierec_assets.cli import fetch as command
from movierec_assets.cli.fetch import Delivery, fetch, fetch_command
from movierec_assets.errors import ChunkError, FetchError
from movierec_assets.ratings.catalogue import parse_movies
from movierec_assets.ratings.chunks import parse_chunk
from movierec_assets.ratings.validation import validate_chunk
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.settings import settings
from movierec_assets.sources import days as movielens
from movierec_assets.sources.files import presets
from movierec_assets.sources.movielens.download import read_path

NOON = 1_582_977_600  # seconds, 2020-02-29T12:00:00Z
DAY = 86_400
FLAGS = "0|0|0|0|0|1|0|0|1|0|0|0|0|0|0|0|0|0|0"  # Comedy, Drama
NO_FLAGS = "1" + "|0" * 18  # unknown

# The same five ratings of the same three movies in each format, out of order, with a day left out
# between.
RATINGS = [
    (2, 10, 4, NOON + 2 * DAY),
    (1, 30, 5, NOON),
    (1, 10, 3, NOON),
    (1, 20, 2, NOON - 5),
    (2, 20, 1, NOON),
]
CLASSIC = "\n".join(f"{user}\t{movie}\t{stars}\t{at}" for user, movie, stars, at in RATINGS) + "\n"
FORMATS: dict[str, dict[str, bytes]] = {
    "tab": {
        "ml/u.data": CLASSIC.encode(),
        "ml/u.item": (
            f"10|Café, Le (1995)|01-Jan-1995||http://x|{FLAGS}\n"
            f"20|Good, Bad (1966)|01-Jan-1966||http://x|{FLAGS}\n"
            f"30|unknown||||{NO_FLAGS}\n"
        ).encode("latin-1"),
    },
    "colons": {
        "ml/ratings.dat": CLASSIC.replace("\t", "::").encode(),
        "ml/movies.dat": (
            "10::Café, Le (1995)::Comedy|Drama\n20::Good, Bad (1966)::Comedy|Drama\n"
            "30::unknown::(no genres listed)\n"
        ).encode("latin-1"),
    },
    "csv": {
        "ml/ratings.csv": b"userId,movieId,rating,timestamp\n"
        + b"".join(
            f"{user},{movie},{stars}.0,{at}\n".encode() for user, movie, stars, at in RATINGS
        ),
        "ml/movies.csv": (
            'movieId,title,genres\n10,"Café, Le (1995)",Comedy|Drama\n20,"Good, Bad '
            '(1966)",Comedy|Drama\n'
            "30,unknown,(no genres listed)\n"
        ).encode(),
        "ml/README.txt": b"",
    },
    "recbole": {
        "a/b/ml.inter": b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        + CLASSIC.encode(),
        "a/b/ml.item": (
            "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
            "10\tCafé, Le\t1995\tComedy Drama\n20\tGood, Bad\t1966\tComedy Drama\n"
            "30\tunkonwn\tunkonwn\tunknown\n"
        ).encode(),
    },
}
MOVIES = (
    'movie_id,title,year,genres\n10,"Café, Le (1995)",1995,Comedy|Drama\n'
    '20,"Good, Bad (1966)",1966,Comedy|Drama\n30,unknown,,\n'
).encode()
HEADER = b"user_id,movie_id,rating,timestamp\n"
CHUNKS = {
    "2020-02-29": HEADER
    + f"1,20,2,{NOON - 5}\n1,30,5,{NOON}\n1,10,3,{NOON}\n2,20,1,{NOON}\n".encode(),
    "2020-03-01": HEADER,
    "2020-03-02": HEADER + f"2,10,4,{NOON + 2 * DAY}\n".encode(),
}


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_folder(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def landing(tmp_path: Path) -> LandingZone:
    return LandingZone(path=str(tmp_path / "landing"))


def chunks(landing: LandingZone) -> dict[str, bytes]:
    return {day: landing.read(day)[1] for day in landing.days()}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("write", [write_zip, write_folder])
def test_each_format_gives_the_same_landing_zone(tmp_path, landing, form, write):
    source = write(tmp_path / "data.zip", FORMATS[form])
    console = quiet()
    done = fetch(None, source, landing, tmp_path / "cache", console=console)
    assert chunks(landing) == CHUNKS
    assert landing.read_movies()[1] == MOVIES
    assert done == Delivery(date(2020, 2, 29), date(2020, 3, 2), 3, 3, 1, 5, 3)
    assert "Harper" in said(console)
    assert "no redistribution" in said(console)
    assert not (tmp_path / "cache").exists()
    for day, content in CHUNKS.items():
        parse_chunk(content, f"{day}.csv")
    assert parse_movies(MOVIES, "movies.csv")["year"].tolist()[:2] == [1995, 1966]


def test_the_digest_is_of_the_ratings_not_of_their_format(tmp_path):
    digests = {
        movielens.digest(read_path(write_folder(tmp_path / form, files)).ratings)
        for form, files in FORMATS.items()
    }
    assert len(digests) == 1


def test_a_second_fetch_touches_nothing(tmp_path, landing):
    source = write_folder(tmp_path / "data", FORMATS["tab"])
    fetch(None, source, landing, tmp_path, console=quiet())
    before = landing.fingerprints()
    assert fetch(None, source, landing, tmp_path, console=quiet()).written == 0
    assert landing.fingerprints() == before


def test_days_can_be_limited_and_added_one_at_a_time(tmp_path, landing):
    source = write_folder(tmp_path / "data", FORMATS["tab"])
    fetch(
        None,
        source,
        landing,
        tmp_path,
        since=date(2019, 1, 1),
        until=date(2020, 3, 1),
        console=quiet(),
    )
    assert landing.days() == ["2020-02-29", "2020-03-01"]
    done = fetch(None, source, landing, tmp_path, every=0, since=date(2020, 3, 2), console=quiet())
    assert (done.days, done.ratings, done.first) == (1, 1, date(2020, 3, 2))
    assert chunks(landing) == CHUNKS
    with pytest.raises(FetchError, match="no day"):
        fetch(None, source, landing, tmp_path, since=date(2021, 1, 1), console=quiet())


def movie_csv(*rows: str) -> dict[str, bytes]:
    return {
        "ratings.csv": f"userId,movieId,rating,timestamp\n1,1,4,{NOON}\n".encode(),
        "movies.csv": ("movieId,title,genres\n" + "".join(f"{row}\n" for row in rows)).encode(),
    }


@pytest.mark.parametrize(
    ("row", "title", "year", "genres"),
    [
        ("1,Plain (1995),Drama", "Plain (1995)", 1995, ["Drama"]),
        (
            '1,"One, Two & ""Three"" (2001)",Drama|War',
            'One, Two & "Three" (2001)',
            2001,
            ["Drama", "War"],
        ),
        ("1,東京物語 (1953),(no genres listed)", "東京物語 (1953)", 1953, []),
        (
            "1,2001: A Space Odyssey (1968) ,Sci-Fi",
            "2001: A Space Odyssey (1968)",
            1968,
            ["Sci-Fi"],
        ),
        ("1,Straight to Video (1994) (V),Drama", "Straight to Video (1994) (V)", 1994, ["Drama"]),
        ("1,Remake (of 1950) (1999),Drama", "Remake (of 1950) (1999)", 1999, ["Drama"]),
        ("1,Series (1975-1979),Comedy", "Series (1975-1979)", 1975, ["Comedy"]),
        ("1,Running (2006–),Comedy", "Running (2006–)", 2006, ["Comedy"]),
        ("1,Babylon 5,Sci-Fi", "Babylon 5", None, ["Sci-Fi"]),
    ],
)
def test_titles_years_and_genres(tmp_path, row, title, year, genres):
    dataset = read_path(write_folder(tmp_path, movie_csv(row)))
    assert dataset.movies.values.tolist() == [["1", title, year, genres]]
    again = parse_movies(movielens.movies_csv(dataset.movies), "movies.csv")
    assert again["title"].tolist() == [title]
    assert again["genres"].tolist() == [genres]


@pytest.mark.parametrize(
    ("ratings", "movies"),
    [
        (  # every field quoted, as R writes it; no newline at the end
            '"userId","movieId","rating","timestamp"\n"1","7","3.5","{noon}"',
            "movieId,title,genres\n7,Tin (1995),Comedy\n",
        ),
        (  # columns in another order, in both files
            "timestamp,movieId,userId,rating\n{noon},7,1,3.5\n",
            "genres,movieId,title\nComedy,7,Tin (1995)\n",
        ),
        (  # further columns, other letters
            "UserID,MovieID,Rating,Timestamp,note\n1,7,3.50,{noon},x\n",
            "movie_id,title,genres,imdb\n7,Tin (1995),Comedy,1\n",
        ),
        (  # Kaggle's times
            '"userId","movieId","rating","timestamp"\n1,7,3.5,"2020-02-29 12:00:00"\n',
            "movieId,title,genres\n7,Tin (1995),Comedy\n",
        ),
    ],
)
@pytest.mark.parametrize("names", [("ratings.csv", "movies.csv"), ("rating.csv", "movie.csv")])
def test_columns_are_found_by_header_and_never_by_position(
    tmp_path, landing, ratings, movies, names
):
    texts = (ratings.replace("{noon}", str(NOON)), movies)
    files = {name: text.encode() for name, text in zip(names, texts, strict=True)}
    fetch(None, write_folder(tmp_path / "data", files), landing, tmp_path, console=quiet())
    assert chunks(landing) == {"2020-02-29": HEADER + f"1,7,3.5,{NOON}\n".encode()}
    assert b"7,Tin (1995),1995,Comedy\n" in landing.read_movies()[1]


def test_ids_keep_their_zeros_in_ratings_and_catalogue(tmp_path, landing):
    files = {
        "ratings.csv": f"userId,movieId,rating,timestamp\n01,0000008,4,{NOON}\n".encode(),
        "movies.csv": b"movieId,title,genres\n0000008,A (1999),\n",
    }
    fetch(None, write_folder(tmp_path / "data", files), landing, tmp_path, console=quiet())
    assert chunks(landing)["2020-02-29"] == HEADER + f"01,0000008,4,{NOON}\n".encode()
    assert b"\n0000008,A (1999)," in landing.read_movies()[1]


FILES = {
    "movietweetings": ("ratings.dat", f"1::0114508::8::{NOON}\n", "1,0114508,4"),
    "amazon": ("ratings.csv", f"A1,0001,5.0,{NOON}\n", "A1,0001,5"),
    "amazon-2018": ("Movies.csv", f"0001,A1,5.0,{NOON}\n", "A1,0001,5"),
    "amazon-reviews": (
        "reviews.json",
        f'{{"reviewerID":"A1","asin":"0001","overall":4.0,"unixReviewTime":{NOON}}}\n',
        "A1,0001,4",
    ),
    "netflix": ("combined_data_1.txt", "1:\n1488844,3,2020-02-29\n", "1488844,1,3"),
    "lastfm-1k": ("plays.tsv", "u1\t2020-02-29T12:00:00Z\ta\tArtist\tt\tTrack\n", "u1,Artist,4"),
    "events": ("events.csv", f"movie_id,user_id,timestamp,page\nm,u,{NOON},3\n", "u,m,4"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("packed", [False, True])
def test_a_known_format_is_read_by_its_declaration(tmp_path, landing, name, packed):
    file, content, expected = FILES[name]
    path = tmp_path / (f"{file}.gz" if packed else file)
    path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    done = fetch(None, path, landing, tmp_path, console=quiet(), format_name=name)
    assert (done.ratings, done.movies) == (1, 0)
    (day,) = chunks(landing)
    assert day == "2020-02-29"
    assert chunks(landing)[day].decode().splitlines()[1].startswith(f"{expected},")


def test_every_known_format_is_tried() -> None:
    assert presets() == sorted(FILES)


def test_a_declaration_of_ones_own_and_a_format_that_is_none(tmp_path, landing):
    (tmp_path / "mine.toml").write_text(
        'separator = ";"\nquoting = false\ncolumns = { rating = \'5" screen\' }\n'
        'scale = { kind = "range", high = 100 }'
    )
    header = 'user_id;movie_id;5" screen;timestamp'
    (tmp_path / "d.csv").write_text(f"{header}\nu;m;80;{NOON}\n")
    own = str(tmp_path / "mine.toml")
    path = tmp_path / "d.csv"
    assert fetch(None, path, landing, tmp_path, console=quiet(), format_name=own).ratings == 1
    assert chunks(landing)["2020-02-29"] == HEADER + f"u,m,4,{NOON}\n".encode()
    with pytest.raises(FetchError, match=r"no format 'mine': expected one of amazon, "):
        fetch(None, path, landing, tmp_path, console=quiet(), format_name="mine")
    path.write_text(f"{header}\nu;m;101;{NOON}\n")
    with pytest.raises(ChunkError, match=r"d\.csv, line 2: rating '101'"):
        fetch(None, path, landing, tmp_path, console=quiet(), format_name=own)


def test_history_in_one_go_is_the_file_of_one_day(tmp_path, landing):
    source = write_folder(tmp_path / "data", FORMATS["tab"])
    done = fetch(None, source, landing, tmp_path, console=quiet(), as_of=date(2020, 3, 1))
    assert (done.days, done.ratings) == (2, 5)
    assert landing.days() == ["2020-03-01", "2020-03-02"]
    assert chunks(landing)["2020-03-01"].count(b"\n") == 5  # a header and four ratings
    late = validate_chunk(parse_chunk(chunks(landing)["2020-03-01"], "d.csv"), date(2020, 3, 1))
    assert (len(late.valid), late.late, len(late.rejected)) == (4, 4, 0)
    with pytest.raises(FetchError, match="the first rating is of 2020-02-29, after 2019-01-01"):
        fetch(None, source, landing, tmp_path, console=quiet(), as_of=date(2019, 1, 1))


def test_history_may_end_before_its_day(tmp_path, landing):
    source = write_folder(tmp_path / "data", FORMATS["tab"])
    fetch(None, source, landing, tmp_path, console=quiet(), as_of=date(2026, 1, 1))
    assert landing.days() == ["2026-01-01"]
    assert chunks(landing)["2026-01-01"].count(b"\n") == 6


def test_half_stars_over_twenty_years_with_most_days_empty(tmp_path, landing):
    stars = ["0.5", "5.0", "3.5", "4"]
    rows = [f"{at},{at + 1},{stars[at % 4]},{NOON - at * 500 * DAY}\n" for at in range(15)]
    files = movie_csv("1,A,") | {
        "ratings.csv": ("userId,movieId,rating,timestamp\n" + "".join(rows)).encode()
    }
    done = fetch(None, write_folder(tmp_path / "data", files), landing, tmp_path, console=quiet())
    assert (done.days, done.without_ratings, done.ratings) == (7001, 7001 - 15, 15)
    days = landing.days()
    assert [date.fromisoformat(day) for day in days] == [
        date(2020, 2, 29) - timedelta(days=7000 - number) for number in range(7001)
    ]
    written = (
        b"".join(landing.read(day)[1].removeprefix(HEADER) for day in days).decode().splitlines()
    )
    assert [row.split(",")[2] for row in written] == [
        ["0.5", "5", "3.5", "4"][at % 4] for at in reversed(range(15))
    ]


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


@pytest.mark.parametrize(
    ("source", "path"), [(None, None), ("ml-100k", Path("x")), ("ml-2k", None)]
)
def test_a_fetch_wants_one_known_source(tmp_path, landing, source, path):
    with pytest.raises(FetchError, match="ml-100k"):
        fetch(source, path, landing, tmp_path, console=quiet())


def test_the_command_delivers_below_home_and_tells(tmp_path, monkeypatch):
    monkeypatch.setenv("MOVIEREC_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    app = typer.Typer()
    app.command("fetch")(fetch_command)
    source = write_zip(tmp_path / "data.zip", FORMATS["csv"])
    try:
        run = CliRunner().invoke(
            app, ["--from", str(source), "--until", "2020-03-01", "--every", "0"]
        )
        assert run.exit_code == 0, run.output
        assert (
            "4 ratings, 3 movies, 2 days, 2020-02-29 to 2020-03-01, 1 of them without ratings"
            in run.output
        )
        assert command.NOTICE.splitlines()[0] in run.output
        landing = LandingZone(path=str(tmp_path / "home" / "warehouse" / "landing"))
        assert landing.days() == ["2020-02-29", "2020-03-01"]
        for wrong in ([], ["ml-2k"], ["--from", str(tmp_path / "gone")]):
            run = CliRunner().invoke(app, wrong)
            assert run.exit_code == 1
            assert run.output.startswith("fetch: ")
    finally:
        settings.cache_clear()
