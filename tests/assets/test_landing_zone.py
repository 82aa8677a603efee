"""The folder in which ratings arrive: what is found, what is refused, how files get there."""

import os
from pathlib import Path

import pytest

from movierec_assets.errors import ChunkError, MissingChunkError
from movierec_assets.resources.stores.landing_zone import LandingZone

DAY = "2020-02-29"
CONTENT = b"user_id,movie_id,rating,timestamp\nu,m,4,1582934400\n"


@pytest.fixture
def landing(tmp_path: Path) -> LandingZone:
    return LandingZone(path=str(tmp_path / "landing zone"))


def names(landing: LandingZone) -> list[str]:
    return [path.name for path in (Path(landing.path) / "ratings").iterdir()]


@pytest.fixture
def ratings(landing: LandingZone) -> Path:
    folder = Path(landing.path) / "ratings"
    folder.mkdir(parents=True)
    return folder


def test_before_anything_arrives_there_are_no_days_and_no_folder(landing):
    assert landing.days() == []
    assert landing.fingerprints() == {}
    assert landing.movies_path() is None
    assert not Path(landing.path).exists()


def test_days_are_those_of_csv_and_parquet_files_ascending(landing, ratings):
    for name in ["2020-03-01.parquet", "2020-02-29.csv", "1999-12-31.csv"]:
        (ratings / name).touch()
    assert landing.days() == ["1999-12-31", "2020-02-29", "2020-03-01"]
    assert sorted(landing.fingerprints()) == landing.days()


@pytest.mark.parametrize(
    "name",
    [
        "2019-02-29.csv",
        "2020-13-01.csv",
        "20200101.csv",
        "2020-1-1.csv",
        "2020-01-01.csv.tmp",
        ".2020-01-01.csv",
        "2020-01-01.txt",
        "2020-01-01.CSV",
        "2020-01-01",
        "２０２０-01-01.csv",
        "notes.csv",
    ],
)
def test_other_names_are_ignored(landing, ratings, name):
    (ratings / name).write_bytes(CONTENT)
    assert landing.days() == []
    assert landing.fingerprints() == {}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("2026-1-5.csv", "is it 2026-01-05.csv?"),
        ("2026_01_05.csv", "is it 2026-01-05.csv?"),
        ("20260105.CSV", "is it 2026-01-05.csv?"),
        ("2026-01-05.Parquet", "is it 2026-01-05.parquet?"),
        ("2026-02-30.csv", "it is no day."),
    ],
)
def test_a_name_that_is_nearly_a_day_is_named(landing, ratings, name, said):
    (ratings / name).write_bytes(CONTENT)
    (line,) = landing.odd_names()
    assert line == f"{name} is not read, {said} Expected YYYY-MM-DD.csv or .parquet"


@pytest.mark.parametrize("name", ["2026-01-05.csv", "2026-01-05.csv.tmp", "notes.csv", "1.csv"])
def test_other_names_are_not_spoken_of(landing, ratings, name):
    (ratings / name).write_bytes(CONTENT)
    assert landing.odd_names() == []


def test_folders_and_dead_links_are_no_chunks(landing, ratings):
    (ratings / "2020-01-01.csv").mkdir()
    (ratings / "2020-01-02.csv").symlink_to(ratings / "gone.csv")
    (ratings / "2020-01-03.csv").symlink_to("2020-01-03.csv")
    (ratings / "2020-01-04.csv").symlink_to("x" * 250 + "/" + "y" * 300)  # a name too long
    assert landing.days() == []
    assert landing.fingerprints() == {}
    assert [said.partition(":")[0] for said in landing.odd_names()] == [
        f"2020-01-0{day}.csv is not read, it is no file" for day in (1, 2, 3, 4)
    ]
    for day in ("2020-01-01", "2020-01-02", "2020-01-03"):
        with pytest.raises(MissingChunkError, match="is no file"):
            landing.find(day)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_chunk_is_found_and_read(landing, ratings, suffix):
    path = ratings / f"{DAY}{suffix}"
    path.write_bytes(CONTENT)
    assert landing.find(DAY) == path
    assert landing.read(DAY) == (path, CONTENT)


def test_a_missing_chunk_names_the_path(landing):
    with pytest.raises(MissingChunkError) as caught:
        landing.read(DAY)
    assert isinstance(caught.value, FileNotFoundError)
    assert str(Path(landing.path) / "ratings" / f"{DAY}.csv") in str(caught.value)
    assert f"{DAY}.parquet" in str(caught.value)


def test_two_files_of_one_day_are_refused(landing, ratings):
    for suffix in (".csv", ".parquet"):
        (ratings / f"{DAY}{suffix}").write_bytes(CONTENT)
    assert landing.days() == [DAY]
    with pytest.raises(ChunkError, match=r"2020-02-29\.csv: 2020-02-29\.parquet is there as well"):
        landing.find(DAY)


@pytest.mark.parametrize(
    "day", ["../movies", "2020-02-30", "2020-02-29/../../x", "20200229", "", "2020-02-29\n"]
)
def test_what_is_no_day_is_refused(landing, day):
    with pytest.raises(ValueError, match="expected YYYY-MM-DD"):
        landing.find(day)
    with pytest.raises(ValueError, match="expected YYYY-MM-DD"):
        landing.deliver(day, CONTENT)
    assert not Path(landing.path).exists()


def test_a_link_out_of_the_landing_zone_is_refused(landing, ratings, tmp_path):
    outside = tmp_path / "secret.csv"
    outside.write_bytes(CONTENT)
    (ratings / f"{DAY}.csv").symlink_to(outside)
    (Path(landing.path) / "movies.csv").symlink_to(outside)
    with pytest.raises(ChunkError, match="a link that leads out"):
        landing.read(DAY)
    with pytest.raises(ChunkError, match="a link that leads out"):
        landing.read_movies()


def test_nothing_is_delivered_through_a_link_out_of_the_landing_zone(landing, ratings, tmp_path):
    """Who may drop files here may not have the pipeline write them elsewhere."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (Path(landing.path) / "shop").symlink_to(outside)
    (Path(landing.path) / "movies.csv").symlink_to(outside / "movies.csv")
    for deliver in (
        lambda: landing.deliver(DAY, CONTENT, "shop"),
        lambda: landing.deliver_movies(CONTENT),
        lambda: landing.receive(f"shop/{DAY}.csv", CONTENT),
    ):
        with pytest.raises(ChunkError, match="a link that leads out"):
            deliver()
    assert not [*outside.iterdir()]


def test_a_link_within_the_landing_zone_and_a_linked_landing_zone_are_fine(
    landing, ratings, tmp_path
):
    (ratings / "late.bin").write_bytes(CONTENT)
    (ratings / f"{DAY}.csv").symlink_to("late.bin")
    (tmp_path / "linked").symlink_to(landing.path)
    for zone in (landing, LandingZone(path=str(tmp_path / "linked"))):
        assert zone.read(DAY)[1] == CONTENT


def test_a_delivered_day_is_whole_and_leaves_no_other_file(landing):
    assert landing.deliver(DAY, CONTENT) is True
    assert landing.read(DAY)[1] == CONTENT
    assert names(landing) == [f"{DAY}.csv"]
    assert landing.deliver(DAY, CONTENT + b"u,n,4,1582934400\n") is True
    assert landing.read(DAY)[1].count(b"\n") == 3


def test_the_same_content_leaves_the_file_untouched(landing):
    landing.deliver(DAY, CONTENT)
    path = landing.find(DAY)
    os.utime(path, ns=(1, 1))
    assert landing.deliver(DAY, CONTENT) is False
    assert path.stat().st_mtime_ns == 1


def test_a_delivery_that_fails_leaves_what_was_there(landing):
    landing.deliver(DAY, CONTENT)
    with pytest.raises(TypeError):
        landing.deliver("2020-03-01", "text")  # type: ignore[arg-type]
    assert names(landing) == [f"{DAY}.csv"]


def test_a_delivery_beside_a_parquet_file_is_refused(landing, ratings):
    (ratings / f"{DAY}.parquet").write_bytes(b"PAR1")
    with pytest.raises(ChunkError, match="two files of one day"):
        landing.deliver(DAY, CONTENT)
    assert landing.find(DAY).suffix == ".parquet"


def test_a_fingerprint_changes_with_the_file_alone(landing):
    landing.deliver(DAY, CONTENT)
    landing.deliver("2020-03-01", CONTENT)
    before = landing.fingerprints()
    path = landing.find(DAY)
    assert before[DAY] == f"{path.stat().st_mtime_ns}-{len(CONTENT)}"
    path.write_bytes(CONTENT + b"u,n,4,1582934400\n")
    os.utime(path, ns=(7, 7))
    after = landing.fingerprints()
    assert after[DAY] == f"7-{len(CONTENT) + 17}"
    assert after["2020-03-01"] == before["2020-03-01"]


def test_movies_are_delivered_and_read(landing):
    with pytest.raises(MissingChunkError, match=r"movies\.csv"):
        landing.read_movies()
    assert landing.deliver_movies(b"movie_id,title,year,genres\n") is True
    path = Path(landing.path) / "movies.csv"
    assert landing.movies_path() == path
    assert landing.read_movies() == (path, b"movie_id,title,year,genres\n")
