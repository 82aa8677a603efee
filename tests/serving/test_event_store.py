"""Where events are kept: on the disk or not at all, once, whoever writes and whatever fails."""

from __future__ import annotations

import asyncio
import logging
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from movierec_serving.errors import EventStoreError, EventTypesError
from movierec_serving.events import Event, EventStore, open_store
from movierec_serving.events.fresh_users import FreshUsers
from movierec_serving.events.log import EventLog
from movierec_serving.events.opening import FILE
from movierec_serving.events.store import Status
from movierec_serving.events.trouble import Trouble
from movierec_serving.events.types import FILE as TYPES_FILE
from movierec_serving.events.types import read_types
from movierec_serving.events.writer import Writer
from tests.support import sample_models as models
from tests.support.endpoint_process import EndpointProcess, wait_for
from tests.support.postgres import PASSWORD, postgres
from tests.support.processes import started

NOON = 1_700_000_000


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres("events") as address:
        yield f"postgresql://movierec:{PASSWORD}@{address}/events"


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    if request.param == "sqlite":
        yield open_store(tmp_path)
        return
    import psycopg2

    address = request.getfixturevalue("url")
    with psycopg2.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    connection.close()
    store = open_store(tmp_path, address)
    yield store
    store.close()


def did(number: int, user: str = "u1") -> Event:
    return Event.of(user, f"m{number}", "rating", 4.0, timestamp=NOON)


def test_events_are_kept_once_in_the_order_in_which_they_came(store: EventStore) -> None:
    assert store.append([did(1), did(2), did(1)]) == ["kept", "kept", "known"]
    assert store.append([did(2), did(3, "u2")]) == ["known", "kept"]
    assert [one.event.movie_id for one in store.of_user("u1")] == ["m1", "m2"]
    assert store.of_user("u1")[0].event == did(1)
    assert store.remove(did(1).event_id) == "u1"
    assert store.remove(did(1).event_id) is None
    assert store.append([did(1)]) == ["known"]  # a retry does not bring it back
    last, users = store.changed_users(0, ["click"], [])
    assert set(users) == {"u1", "u2"}
    assert store.changed_users(last, [], []) == (last, [])


def test_each_event_is_in_one_delivery(store: EventStore) -> None:
    store.append([did(1), did(2)])
    ends = NOON + 1
    store._clock = lambda: NOON - 10  # the clock was set back: these came before the day's end
    store.append([did(3)])
    assert store.has_waiting(ends)
    for number in (4, 5):
        store.collect("2023-11-14", ends)
        store.append([did(number)])  # late
    store.collect("2023-11-15", NOON + 10**9)
    days = ("2023-11-14", "2023-11-15")
    by_day = {day: [one.event.movie_id for one in store.day(day)] for day in days}
    assert by_day == {"2023-11-14": ["m3"], "2023-11-15": ["m1", "m2", "m4", "m5"]}
    store.seen.accept("2023-11-15", "events", "v1")
    _, users = store.changed_users(0, [], [("2023-11-15", "v1")])
    assert users == ["u1"]  # the first day's is in no model
    store.forget("u1")
    assert store.of_user("u1") == []


def test_two_writers_lose_nothing_and_count_nothing_twice(store: EventStore) -> None:
    counts: list[str] = []

    def write() -> None:
        for start in range(0, 60, 3):
            counts.extend(store.append([did(number) for number in range(start, start + 6)]))
        store.close()

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts.count("kept") == 63 == len(store.of_user("u1"))


KILLED = """
import os, signal, sys
from pathlib import Path
from movierec_serving.events import Event, open_store
from movierec_serving.events.sqlite import SqliteDatabase
from contextlib import contextmanager
store, point = open_store(Path(sys.argv[1])), sys.argv[2]
event = Event.of("u1", "m1", "rating", 4.0, timestamp=1)
other = Event.of("u1", "m2", "rating", 4.0, timestamp=1)
store.append([Event.of("u1", "m0", "rating", 4.0, timestamp=1)])
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
if point == "before the write":
    die()
if point == "before the commit":
    with store._database.transaction() as change:
        columns = "event_id, user_id, movie_id, type, timestamp, received_at, change"
        rows = [(one.event_id, "u1", one.movie_id, "rating", 1, 1, 99) for one in (event, other)]
        change.insert(f"events ({columns})", rows)
        die()
store.append([event, other])
die()  # before the answer
"""


@pytest.mark.parametrize(
    ("point", "left"), [("before the write", 1), ("before the commit", 1), ("before the answer", 3)]
)
def test_a_kill_leaves_all_of_a_request_or_nothing_and_a_retry_makes_it_whole(
    tmp_path: Path, point: str, left: int
) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), point]
    assert subprocess.run(command, check=False).returncode == -9
    store = open_store(tmp_path)
    assert len(store.of_user("u1")) == left
    retried = [Event.of("u1", f"m{n}", "rating", 4.0, timestamp=1) for n in (1, 2)]
    store.append(retried)
    assert len(store.of_user("u1")) == 3


def test_a_store_that_was_removed_is_begun_again_by_those_who_have_it_open(
    tmp_path: Path,
) -> None:
    store, other = open_store(tmp_path / "events"), open_store(tmp_path / "events")
    store.append([did(1)])
    shutil.rmtree(tmp_path / "events")
    store.append([did(2)])
    assert [one.event for one in other.of_user("u1")] == [did(2)]


def test_no_byte_of_a_forgotten_user_is_left_in_the_databases_files(
    store: EventStore, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """PostgreSQL's write-ahead log is its administrator's, as backups are."""
    somebody = "ann-7f3c1e"
    store.append([did(number, somebody) for number in range(300)])
    store.append([did(301)])
    store.seen.add("2023-11-15", "ratings", "v1", [(somebody, "m1", 4.0)])
    store.forget(somebody)
    folder = tmp_path
    if request.node.callspec.params["store"] == "postgresql":
        import psycopg2

        connection = psycopg2.connect(request.getfixturevalue("url"))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("CHECKPOINT")
            cursor.execute("SHOW data_directory")
            folder = Path(cursor.fetchone()[0]) / "base"
        connection.close()
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert [file for file in files if somebody.encode() in file.read_bytes()] == []
    assert len(store.of_user("u1")) == 1


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def test_a_store_that_is_away_is_told_of_once_and_its_return_too() -> None:
    logger, kept = logging.Logger("a test"), Lines()
    logger.addHandler(kept)
    trouble = Trouble(logger, "events")
    for error in (None, *[EventStoreError("refused")] * 100, EventStoreError("full"), None, None):
        trouble(error)
    assert kept.lines == ["events: refused", "events: full", "events: well again"]


def until_it_is_full(store: EventStore) -> Iterator[str]:
    for number in range(10_000):
        try:
            yield from store.append([did(number + 10)])
        except EventStoreError:
            return
    raise AssertionError("the disk was never full")


def test_a_full_disk_and_a_foreign_lock_are_errors_and_lose_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append([did(1)])
    foreign = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(EventStoreError, match="locked"):
        store.append([did(2)])
    foreign.execute("ROLLBACK")
    foreign.close()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 17, hard))
    try:
        kept = 1 + sum(1 for _ in until_it_is_full(store))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert 1 < kept == len(store.of_user("u1"))
    assert store.append([did(2)]) == ["kept"]


def test_what_came_while_the_disk_was_busy_is_one_transaction(tmp_path: Path) -> None:
    log = EventLog(tmp_path, tmp_path)
    writer = Writer(log, within=10)

    async def at_once() -> list[list[Status]]:
        with FreshUsers(tmp_path / "fresh-users").turn():  # so the writer waits
            tasks = [asyncio.create_task(writer.append([did(n)])) for n in range(50)]
            await asyncio.wait(tasks, timeout=0)
        return await asyncio.gather(*tasks)

    assert asyncio.run(at_once()) == [["kept"]] * 50
    received = {one.received_at for one in log.store.of_user("u1")}
    assert len(received) <= 2
    # Each transaction writes at least one page of each table and index.
    assert (tmp_path / f"{FILE}-wal").stat().st_size < 50 * 5 * 4096


def test_who_no_longer_waits_for_the_disk_takes_nobody_elses_events(tmp_path: Path) -> None:
    """A request gives up after five seconds; its events are kept, and so are all that follow."""
    log = EventLog(tmp_path, tmp_path)
    writer, hasty = Writer(log, within=10), Writer(log, within=0.05)

    async def three_in_haste() -> list[list[Status] | BaseException]:
        first = asyncio.create_task(hasty.append([did(1)]))
        await asyncio.wait([first], timeout=0.02)
        both = [first, asyncio.create_task(hasty.append([did(2)]))]
        await asyncio.wait(both)
        return await asyncio.gather(*both, hasty.append([did(3)]), return_exceptions=True)

    with FreshUsers(tmp_path / "fresh-users").turn():  # so the disk takes its time
        errors = asyncio.run(three_in_haste())
        with pytest.raises(TimeoutError):  # a caller who hangs up
            asyncio.run(asyncio.wait_for(writer.append([did(4)]), timeout=0.01))
    late = "EventStoreError('the disk took more than 0.05 s')"
    assert [repr(error) for error in errors] == [late] * 3
    assert asyncio.run(writer.append([did(5)])) == ["kept"]
    expected = {did(number) for number in range(1, 6)}
    wait_for(lambda: {kept.event for kept in log.store.of_user("u1")} == expected, "all are kept")


def test_a_mark_is_seen_by_another_process_and_outlives_a_renewal(tmp_path: Path) -> None:
    log, other = EventLog(tmp_path, tmp_path), FreshUsers(tmp_path / "fresh-users")
    assert other.marked("u1")  # there is no file yet: ask the store
    log.renew(())
    assert not other.marked("u1")
    code = """
import sys
from pathlib import Path
from movierec_serving.events import Event
from movierec_serving.events.log import EventLog
log = EventLog(Path(sys.argv[1]), Path(sys.argv[1]))
print("ready", flush=True)
for line in sys.stdin:
    log.append([Event.of("u1", line.strip(), "rating", 4.0, timestamp=1)])
    print("kept", flush=True)
"""
    with started(code, str(tmp_path)) as process:
        assert process.stdin
        assert process.stdout
        for movie in ("m1", "m2"):
            process.stdin.write(f"{movie}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "kept\n"
            assert other.marked("u1")
            log.renew(())  # the other process has the old file mapped
            assert other.marked("u1")
    log.renew((("2023-11-15", "v1"),))
    assert other.marked("u1")  # no model has it


@pytest.mark.parametrize(
    ("toml", "cause"),
    [
        ("[x]\nstars = 7", "x.stars: Input should be less than or equal to 5"),
        ("[x]\nsteps = [[0.5, 3.0]]", "steps are for a share"),
        ("[x]\nworth = 3", "Extra inputs are not permitted"),
        ("x = ", "Invalid value"),
    ],
)
def test_a_declaration_that_is_wrong_names_the_field(tmp_path: Path, toml: str, cause: str) -> None:
    (tmp_path / TYPES_FILE).write_text(toml)
    with pytest.raises(EventTypesError, match=f"{TYPES_FILE}.*{cause}"):
        read_types(tmp_path)


def test_a_declared_type_is_worth_what_it_says(tmp_path: Path) -> None:
    (tmp_path / TYPES_FILE).write_text("[trailer]\nvalue = 'share'\nsteps = [[0.9, 3.5]]\n")
    types = read_types(tmp_path)
    assert [types["trailer"].worth(share) for share in (0.5, 0.9)] == [None, 3.5]
    assert types["rating"].worth(2.5) == 2.5


def test_two_endpoints_of_one_postgresql_know_each_others_events(tmp_path: Path, url: str) -> None:
    with ExitStack() as stack:
        pair = []
        for name in ("one", "other"):
            endpoint = EndpointProcess(tmp_path / name, MOVIEREC_EVENTS_URL=url)
            models.publish_version(endpoint.store, 1)
            stack.callback(endpoint.close)
            endpoint.start()
            endpoint.reload(1)
            pair.append(endpoint)
        one, other = pair
        listed = [
            [item["movie_id"] for item in each.client.get("/recommend/u3").json()["items"]]
            for each in pair
        ]
        assert listed[0] == listed[1]
        event = {"user_id": "u3", "movie_id": listed[0][0], "type": "dismiss", "timestamp": NOON}
        statuses = [
            each.client.post("/events", json=event).json()["results"][0]["status"] for each in pair
        ]
        assert statuses == ["kept", "known"]

        def left_out(each: EndpointProcess) -> bool:
            items = each.client.get("/recommend/u3").json()["items"]
            return listed[0][0] not in [item["movie_id"] for item in items]

        assert left_out(one)
        wait_for(lambda: left_out(other), "the other endpoint knows it")


def test_what_is_kept_of_a_user_is_asked_for_again_after_each_change(tmp_path: Path) -> None:
    log, other = EventLog(tmp_path, tmp_path), EventLog(tmp_path, tmp_path)
    log.renew(())
    seen = {log.changes_of("u1")}
    log.append([did(1)])
    seen.add(other.changes_of("u1"))
    other.remove(did(1).event_id)
    seen.add(log.changes_of("u1"))
    log.accept("2023-11-15", "ratings", "v1", [("u1", "m1", 4.0)])
    seen.add(other.changes_of("u1"))
    other.accept("2023-11-15", "ratings", "v2", [])
    seen.add(log.changes_of("u1"))
    log.renew(())
    seen.add(other.changes_of("u1"))
    assert len(seen) == 6
    assert None not in seen


def test_events_that_were_lost_are_put_back_where_they_were(store: EventStore) -> None:
    store._clock = lambda: NOON
    store.append([did(1), did(2), did(3, "u2")])
    store.collect("2023-11-14", NOON + 1)
    store.remove(did(2).event_id)
    kept = store.day("2023-11-14")
    for event in (did(1), did(3, "u2")):
        store.forget(event.user_id)
    store.append([did(3, "u2"), did(4)])  # sent again, and what is news
    assert store.put_back("2023-11-14", kept) == 2
    assert store.put_back("2023-11-14", kept) == 0
    back = store.day("2023-11-14")
    assert sorted(back, key=str) == sorted(kept, key=str)
    assert store.delivered() == ["2023-11-14"]
    assert {*store.changed_users(0, [], [])[1]} == {"u1", "u2"}
    assert [one.event for one in store.collect("2023-11-14", NOON + 1)].count(did(1)) == 1
    assert [one.delivery for one in store.of_user("u1") if one.event == did(4)] == [None]
