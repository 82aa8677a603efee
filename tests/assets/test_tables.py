"""A source that is a table of a database: every row is delivered once, whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import sqlalchemy as sa

from movierec_assets.defs.tables import table_watch
from movierec_assets.errors import DeclarationError, TableError
from movierec_assets.maintenance.erasure import erase_taken
from movierec_assets.maintenance.journal import Journal
from movierec_assets.ratings.cutting import NO_DAY, Row, cut, days_of, ended_day, not_taken
from movierec_assets.ratings.declaration import Declaration, digest, parse_declaration
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.settings import settings
from movierec_assets.sources.table import Brought, bring
from tests.conftest import ROOT, Platform
from tests.support.postgres import PASSWORD, postgres

SHOP = """
columns = { user_id = "customer", movie_id = "film", rating = "grade", timestamp = "rated" }
scale = { kind = "range", low = 1, high = 10 }
day_zone = "America/New_York"
table = { url_env = "SHOP_DATABASE", name = "grades", watermark = "WATERMARK" }
"""
NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)  # in New York


def shop(watermark: str = "id", **table: int) -> Declaration:
    further = "".join(f", {name} = {value}" for name, value in table.items())
    toml = SHOP.replace('"WATERMARK"', f'"{watermark}"{further}')
    return parse_declaration(toml.encode(), "shop.toml")


class Shop:
    """Somebody's database, and what of it lies in the landing zone."""

    def __init__(self, url: str, folder: Path) -> None:
        driver = url.replace("postgresql:", "postgresql+psycopg2:")
        self.engine = sa.create_engine(driver, poolclass=sa.NullPool)
        self.landing = LandingZone(path=str(folder / "landing"))
        self.state = folder / "taken" / "shop.db"
        stamp = sa.DateTime(timezone=True)
        self.table = sa.Table(
            "grades",
            sa.MetaData(),
            sa.Column("id", sa.Integer, nullable=True),
            sa.Column("written", stamp),
            sa.Column("customer", sa.Text),
            sa.Column("film", sa.Text),
            sa.Column("grade", sa.Numeric(4, 1)),
            sa.Column("rated", stamp),
        )
        with self.engine.begin() as connection:
            self.table.drop(connection, checkfirst=True)
            self.table.create(connection)

    def write(self, *rows: tuple[int | None, datetime], customer: str = "c") -> None:
        """Rows of (watermark, when it was rated); the film is named after both."""
        with self.engine.begin() as connection:
            for mark, rated in rows:
                film = f"f{mark}-{rated:%m%d%H}"
                given = {"id": mark, "customer": customer, "film": film, "grade": 7.5}
                connection.execute(self.table.insert().values(**given, rated=rated, written=NOON))

    def bring(self, now: datetime, declared: Declaration | None = None, **more: int) -> Brought:
        declared = declared or shop()
        assert declared.table is not None
        first = date(2026, 3, 1)
        given = {"first": first, "last": date(2026, 3, 31), "now": now, **more}
        return bring("shop", declared, declared.table, self.landing, self.state, **given)  # type: ignore[arg-type]

    def delivered(self) -> dict[str, list[str]]:
        """The films of each day's file."""
        return {
            day: [line.split(",")[1] for line in self._text(day).splitlines()[1:]]
            for day in self.landing.days("shop")
        }

    def _text(self, day: str) -> str:
        return self.landing.read(day, "shop")[1].decode()

    def films(self) -> Counter[str]:
        with self.engine.connect() as connection:
            return Counter(connection.execute(sa.select(self.table.c.film)).scalars())


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres("shop") as address:
        yield f"postgresql://movierec:{PASSWORD}@{address}/shop"


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request, tmp_path, monkeypatch) -> Shop:  # type: ignore[no-untyped-def]
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/shop.db" if sqlite else request.getfixturevalue("server")
    monkeypatch.setenv("SHOP_DATABASE", url)
    monkeypatch.setenv("PGTZ", "UTC")
    return Shop(url, tmp_path)


def hours(count: int) -> datetime:
    """So long after noon of 2 March in New York."""
    return NOON + timedelta(hours=count)


def test_rows_are_cut_into_business_days_and_late_ones_go_into_the_next_delivery(db: Shop) -> None:
    db.write((1, hours(-60)), (2, hours(-24)), (3, hours(0)), (4, hours(11)), (5, hours(12)))
    assert db.bring(hours(0)).days == ("2026-03-01",)  # with what was rated before the first day
    assert db.delivered() == {"2026-03-01": ["f1-0228" + "05", "f2-0301" + "17"]}
    db.write((6, hours(-30)))
    assert db.bring(hours(12)).days == ()  # the day has ended, and is open for half an hour more
    assert db.bring(hours(13)).days == ("2026-03-02",)
    assert db.delivered()["2026-03-02"] == ["f3-030217", "f4-030304", "f6-030111"]
    assert db.bring(hours(13)) == Brought(0, (), 0, True)
    assert db.bring(hours(85)).days == ("2026-03-03", "2026-03-04", "2026-03-05")
    assert db.delivered()["2026-03-03"] == ["f5-030305"]
    assert db.delivered()["2026-03-05"] == []  # a day without rows is one all the same
    assert sum(map(Counter, db.delivered().values()), Counter()) == db.films()


def test_rows_of_an_equal_or_a_lower_watermark_that_come_later_are_found_once(db: Shop) -> None:
    db.write((100, hours(0)), (100, hours(0)), (101, hours(1)))
    assert [db.bring(hours(1), shop(overlap=5)).taken for _ in range(2)] == [3, 0]
    db.write((101, hours(2)), (100, hours(0)), (98, hours(3)), (101, hours(1)))
    assert db.bring(hours(4), shop(overlap=5)).taken == 4
    assert db.bring(hours(36), shop(overlap=5)).taken == 0
    assert Counter(db.delivered()["2026-03-02"]) == db.films()


def test_a_time_may_be_the_watermark(db: Shop) -> None:
    declared = shop("written", overlap=60)
    db.write((1, hours(-24)), (2, hours(-24)))
    assert db.bring(hours(0), declared).taken == 2
    db.write((3, hours(-24)))  # written at the same moment
    assert db.bring(hours(0), declared).taken == 1
    assert db.bring(hours(13), declared).days == ("2026-03-02",)
    assert db.delivered()["2026-03-02"] == ["f3-030117"]


def test_a_large_table_is_read_in_several_looks_before_anything_is_cut(db: Shop) -> None:
    db.write(*[(n // 3, hours(-n)) for n in range(20, 0, -1)])
    found = [db.bring(hours(0), most_rows=8) for _ in range(3)]
    assert [one.taken for one in found] == [8, 8, 4]
    assert [len(one.days) for one in found] == [0, 0, 1]
    assert db.bring(hours(13)).days == ("2026-03-02",)
    assert sum(map(Counter, db.delivered().values()), Counter()) == db.films()


def test_what_is_delivered_is_read_by_the_sources_declaration(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_DATABASE", f"sqlite:///{platform.home}/shop.db")
    db = Shop(f"sqlite:///{platform.home}/shop.db", platform.root)
    (platform.root / "sources").mkdir(exist_ok=True)
    (platform.root / "sources" / "shop.toml").write_text(SHOP.replace("WATERMARK", "id"))
    at = datetime(1998, 3, 3, 12, tzinfo=UTC)
    db.write((1, at), (2, at), (None, at), (3, at.replace(year=2999)), customer="0042")
    monkeypatch.setenv("MOVIEREC_MAX_REJECTED_SHARE", "0.5")
    settings.cache_clear()
    with dg.build_sensor_context(instance=platform.instance) as context:
        told = table_watch(context, platform=platform.wired)
        said = "shop: 3 new rows, delivered 1998-03-03 to 1998-04-22, 1 rows have no watermark"
        assert str(told.skip_message).startswith(said)
    assert platform.run("1998-03-03", None, "raw_ratings", "validated_ratings").success
    rows = platform.query("SELECT user_id, movie_id, rating, rated_at FROM validated_ratings")
    at = at.replace(tzinfo=None)
    assert rows == [("0042", f"f{n}-030312", 4.0, at) for n in (1, 2)]
    ((reasons,),) = platform.query("SELECT reasons FROM rejected_ratings")
    assert reasons == ["timestamp: after the day"]  # kept, where a person sees it


# -- kills -----------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from datetime import datetime, date
from pathlib import Path
from movierec_assets.ratings.declaration import parse_declaration
from movierec_assets.resources.stores.landing_zone import LandingZone
from movierec_assets.resources.stores.taken_rows import TakenRows
from movierec_assets.sources.table import bring
point, nth, toml, folder, now = sys.argv[1:]
owner = LandingZone if point == "deliver" else TakenRows
whole, left = getattr(owner, point), [int(nth)]
def killed(*given, **named):
    done = whole(*given, **named)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
setattr(owner, point, killed)
declared, root = parse_declaration(toml.encode(), "shop.toml"), Path(folder)
landing, state = LandingZone(path=str(root / "landing")), root / "taken" / "shop.db"
bring("shop", declared, declared.table, landing, state, first=date(2026, 3, 1), last=None,
      now=datetime.fromisoformat(now))
"""


@pytest.mark.parametrize(
    ("point", "nth"), [("take", 1), ("decide", 1), ("deliver", 1), ("deliver", 2), ("done", 1)]
)
def test_a_kill_between_two_steps_loses_no_row_and_brings_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, nth: int
) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    monkeypatch.setenv("SHOP_DATABASE", url)
    db, toml = Shop(url, tmp_path), SHOP.replace("WATERMARK", "id")
    db.write((1, hours(-24)), (1, hours(-24)), (2, hours(0)), (3, hours(24)))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, point, str(nth), toml, tmp_path, hours(13).isoformat()],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    before = db.delivered()
    db.write((2, hours(-24)), (3, hours(1)))  # what came while nobody looked
    db.bring(hours(13))
    assert before.items() <= db.delivered().items()  # what was delivered is not changed
    db.bring(hours(48))
    assert list(db.delivered()) == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert sum(map(Counter, db.delivered().values()), Counter()) == db.films()


def test_a_users_waiting_rows_are_erased_and_not_read_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{platform.home}/shop.db"
    monkeypatch.setenv("SHOP_DATABASE", url)
    db = Shop(url, platform.root)
    db.write((1, hours(0)), customer="ann")
    db.write((2, hours(0)), customer="bob")
    db.bring(hours(0))
    erase_taken(platform.wired, Journal("ann", "asked", "2026-01-01"))
    db.bring(hours(13))
    assert db.delivered()["2026-03-02"] == ["f2-030217"]


# -- what is refused -------------------------------------------------------------------------------


def test_a_lost_state_is_named_and_the_table_can_be_cut_anew(db: Shop) -> None:
    db.write((1, hours(-24)), (2, hours(0)))
    db.bring(hours(13))
    first = db.delivered()
    db.state.unlink()
    with pytest.raises(TableError, match=r"shop\.db is lost"):
        db.bring(hours(13))
    (Path(db.landing.path) / "shop").rename(Path(db.landing.path) / "away")
    db.bring(hours(13))
    assert db.delivered() == first


def test_a_table_that_begins_anew_is_named(db: Shop) -> None:
    db.write((5000, hours(-24)))
    db.bring(hours(0))
    with db.engine.begin() as connection:
        connection.execute(db.table.delete())
    assert db.bring(hours(0)).taken == 0  # emptied, which is no fault
    db.write((1, hours(0)))
    with pytest.raises(TableError, match="the newest id is 1, and 5000 was read"):
        db.bring(hours(0))


def test_a_row_that_would_hide_others_is_named_before_it_is_read(db: Shop) -> None:
    """A watermark in the future, below which nothing new would be seen; a time without a year."""
    declared, row = shop("written"), "INSERT INTO grades VALUES (2, '{}', 'c', 'odd', 7.5, '{}')"
    for written, rated, cause in (
        ("9999-12-31 23:59:59.000000", "2026-03-02 00:00:00.000000", "in the future: correct that"),
        ("2026-03-02 17:00:00.000000", "0044-03-15 BC", "a row after grades.written .* unreadable"),
    ):
        with db.engine.begin() as connection:
            connection.execute(db.table.delete())
            connection.exec_driver_sql(row.format(written, rated))
        with pytest.raises(TableError, match=cause):
            db.bring(hours(13), declared)
    with db.engine.begin() as connection:
        connection.execute(db.table.delete())
    db.write((3, hours(0)))
    assert db.bring(hours(13), declared).taken == 1


def test_what_cannot_be_read_is_named_without_the_url(
    db: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cause(declared: Declaration) -> str:
        with pytest.raises(TableError) as caught:
            db.bring(hours(0), declared)
        assert caught.value.__cause__ is None
        return str(caught.value)

    assert "no column 'idd'. did you mean 'idd' by 'id'?" in cause(shop("idd"))
    db.write((1, hours(-24)))
    assert "grades.film is str, expected whole numbers" in cause(shop("film"))
    with db.engine.begin() as connection:
        db.table.drop(connection)
    assert "no table 'grades'" in cause(shop())
    monkeypatch.setenv("SHOP_DATABASE", "postgresql://u:pa55word@127.0.0.1:1/d")
    assert "pa55word" not in (said := cause(shop()))
    assert "127.0.0.1" in said
    monkeypatch.setenv("SHOP_DATABASE", "no url: pa55word")
    assert cause(shop()) == "shop: SHOP_DATABASE is no URL that can be used: ArgumentError"
    monkeypatch.delenv("SHOP_DATABASE")
    assert "SHOP_DATABASE is not set" in cause(shop())


def test_one_table_that_cannot_be_read_stops_no_other(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{platform.home}/shop.db"
    monkeypatch.setenv("SHOP_DATABASE", url)
    db = Shop(url, platform.root)
    db.write((1, datetime(1998, 3, 3, 12, tzinfo=UTC)))
    folder = platform.root / "sources"
    folder.mkdir(exist_ok=True)
    (folder / "shop.toml").write_text(SHOP.replace("WATERMARK", "id"))
    (folder / "lost.toml").write_text(SHOP.replace("WATERMARK", "id").replace("SHOP_", "LOST_"))
    with (
        dg.build_sensor_context(instance=platform.instance) as context,
        pytest.raises(TableError, match=r"^lost: LOST_DATABASE is not set"),
    ):
        table_watch(context, platform=platform.wired)
    assert "1998-03-03" in db.delivered()


def test_a_table_declares_no_marks_of_files_and_no_url() -> None:
    with pytest.raises(DeclarationError, match="a table has no separator, quoting"):
        parse_declaration((SHOP + 'separator = ";"').encode(), "shop.toml")
    with pytest.raises(DeclarationError, match=r"table\.url_env"):
        parse_declaration(SHOP.replace("SHOP_DATABASE", "sqlite:///shop.db").encode(), "shop.toml")


def test_where_rows_come_from_is_no_part_of_what_they_mean() -> None:
    assert digest(shop()) == digest(shop("written", overlap=7))


# -- the decisions alone ---------------------------------------------------------------------------

FIRST, ENDED = "2026-03-01", "2026-03-04"


@pytest.mark.parametrize(
    ("waiting", "delivered", "expected"),
    [
        ([], None, {}),
        (["2026-03-05"], None, {}),  # today's alone
        (["2026-02-01", "2026-03-03"], None, {"01": ["2026-02-01"], "03": ["2026-03-03"]}),
        (["2026-03-03"], None, {"03": ["2026-03-03"]}),
        ([], "2026-03-03", {"04": []}),
        ([], "2026-03-04", {}),
        (["2026-03-01"], "2026-03-04", {}),  # late, and waits for the next delivery
        (["2026-03-01"], "2026-03-03", {"04": ["2026-03-01"]}),
        ([NO_DAY], "2026-03-03", {"04": [NO_DAY]}),
        ([NO_DAY], None, {"04": [NO_DAY]}),
        (["2026-03-06"], "2026-03-03", {"04": []}),  # tomorrow's, by a clock that is fast
        (["2026-03-07"], "2026-03-03", {"04": ["2026-03-07"]}),
    ],
)
def test_the_day_that_a_row_goes_into(
    waiting: list[str], delivered: str | None, expected: dict[str, list[str]]
) -> None:
    found = cut(waiting, delivered, FIRST, ENDED, most=10)
    assert {day[-2:]: rows for day, rows in found.items() if rows or delivered} == expected


def test_many_days_are_delivered_some_at_a_time() -> None:
    assert list(cut([], "2026-03-01", FIRST, ENDED, most=2)) == ["2026-03-02", "2026-03-03"]


def test_equal_rows_are_counted_and_not_only_known() -> None:
    row = Row(1, ("u", "m", "4", "0"))
    assert list(not_taken([row, row, row], {row.digest: 2})) == [row]


def test_a_day_ends_where_it_is() -> None:
    at = datetime(2026, 3, 2, 5, 10, tzinfo=UTC)
    assert ended_day(at, "America/New_York", timedelta(0)) == "2026-03-01"
    assert ended_day(at, "America/New_York", timedelta(minutes=30)) == "2026-02-28"
    seconds = np.array([int(at.timestamp()), np.iinfo(np.int64).min, 10**12])
    assert days_of(seconds, "America/New_York")[:2] == ["2026-03-02", NO_DAY]
