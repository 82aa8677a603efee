"""Every MovieLens format into the landing zone, a file a day."""

import gzip
import io
from datetime import date, timedelta
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from movierec_assets.cli import fetch as command
from movierec_assets.cli.fetch import Delivery, fetch, fetch_command
from movierec_assets.errors import ChunkError, DeclarationError, FetchError
from movierec_assets.ratings.catalogue import parse_movies
from movierec_assets.ratings.chunks import parse_chunk
from movierec_assets.ratings.validation import validate_chunk
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.settings import settings
from movierec_assets.sources import days as movielens
from movierec_assets.sources.files import presets
from movierec_assets.sources.movielens.download import read_path
from tests.support.movielens import (
    DAY,
    FORMATS,
    HEADER,
    NOON,
    movie_csv,
    quiet,
    write_folder,
    write_zip,
)

MOVIES = (
    'movie_id,title,year,genres\n10,"Café, Le (1995)",1995,Comedy|Drama\n'
    '20,"Good, Bad (1966)",1966,Comedy|Drama\n30,unknown,,\n'
).encode()
CHUNKS = {
    "2020-02-29": HEADER
    + f"1,20,2,{NOON - 5}\n1,30,5,{NOON}\n1,10,3,{NOON}\n2,20,1,{NOON}\n".encode(),
    "2020-03-01": HEADER,
    "2020-03-02": HEADER + f"2,10,4,{NOON + 2 * DAY}\n".encode(),
}


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


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
    (tmp_path / "mine.toml").write_bytes(b'separator = "\xa7"')
    with pytest.raises(DeclarationError, match=r"mine\.toml: not UTF-8"):
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
