"""What people were shown can be known afterwards: every list, once. No answer suffers for it."""

import asyncio
import os
import resource
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from movierec_serving.events.shown import SIZE, Impression, ShownLog, days_shown, read_shown
from movierec_serving.runtime.connections import Joined
from tests.support import sample_models as models
from tests.support.endpoint_process import EndpointProcess, parent_of, wait_for


def impression(number: int, **more: Any) -> Impression:
    about = {"at": 893_203_200.5, "version": 3, "source": "als", "movies": ["m1", "m2"], "ms": 0.1}
    return {"recommendation_id": f"3-{number}", "user_id": f"u{number}", **about, **more}


def log(folder: Path, share: float = 1.0, lost: list[int] | None = None) -> ShownLog:
    return ShownLog(folder, share, (lost if lost is not None else []).append)


def newest(folder: Path) -> list[Any]:
    return list(read_shown(folder, days_shown(folder)[-1]))


def shown(folder: Path) -> list[dict[str, Any]]:
    return [
        one for day in days_shown(folder) for _, ones, _ in read_shown(folder, day) for one in ones
    ]


class Transport:
    """Notes what was shown before each thing that it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.noted = folder, list[tuple[str, int]]()

    def write(self, data: bytes) -> None:
        self.noted.append((data.decode(), len(shown(self.folder))))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        self.noted.append(("closed", len(shown(self.folder))))


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[EndpointProcess]:
    process = EndpointProcess(tmp_path)
    models.publish_version(process.store, 3)
    try:
        process.start().reload(3)
        yield process
    finally:
        process.close()


def test_a_list_is_written_down_before_its_answer_leaves_or_its_connection_ends(
    tmp_path: Path,
) -> None:
    written, transport = log(tmp_path), Transport(tmp_path)

    async def answers() -> None:
        loop = asyncio.get_running_loop()
        kept, closed = (Joined(transport, loop) for _ in range(2))  # type: ignore[arg-type]
        for number, connection in enumerate((kept, closed)):
            written.write([impression(number)])
            connection.write(b"an answer")
        closed.close()
        assert closed.is_closing()
        assert len(shown(tmp_path)) == 2
        assert not transport.noted
        turn = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn

    asyncio.run(answers())
    assert transport.noted == [("an answer", 2), ("an answer", 2), ("closed", 2)]


def test_every_way_to_a_list_is_written_down_once(endpoint: EndpointProcess) -> None:
    client = endpoint.client
    known = client.get("/recommend/u1?n=3").json()
    answers = [
        known,
        client.get("/recommend/u2?n=2&offset=5").json(),
        client.get("/recommend/nobody").json(),
        client.get("/popular?n=2").json(),
        client.get("/similar/m3").json(),
        client.post("/recommend", json={"user_id": "a/b c%", "n": 4}).json(),
        *client.post("/recommend", json={"users": ["u1", "u3"]}).json()["results"],
    ]
    for path in (
        "/recommend/u1?shown=false",
        "/recommend/u1?n=2&shown=false",
        "/popular?shown=false",
    ):
        assert client.get(path).status_code == 200
    assert client.post("/recommend", json={"user_id": "u1", "shown": False}).status_code == 200
    assert client.get("/recommend/u1?n=2shown=false").status_code == 422

    folder = endpoint.home / "warehouse" / "shown"
    found = {one["recommendation_id"]: one for one in shown(folder)}
    assert found.keys() == {answer["recommendation_id"] for answer in answers}
    for answer in answers:
        line = found[answer["recommendation_id"]]
        assert line["movies"] == [item["movie_id"] for item in answer["items"]]
        assert (line["version"], line["source"]) == (3, answer["source"])
        assert line.get("user_id") == answer.get("user_id")
        assert line.get("reason") == answer.get("fallback_reason")
        assert 0 <= line["ms"] < 1000
    assert found[answers[1]["recommendation_id"]]["offset"] == 5
    assert days_shown(folder) == [datetime.fromtimestamp(line["at"], UTC).date().isoformat()]


def test_a_killed_process_loses_nothing_that_it_answered(endpoint: EndpointProcess) -> None:
    answered = []
    for turn in range(3):
        pid = endpoint.client.get("/model").json()["pid"]
        answered += [
            endpoint.client.get("/recommend/u1").json()["recommendation_id"] for _ in "123"
        ]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda pid=pid: parent_of(pid) is None, "it has ended")
        endpoint.client.close()
        endpoint.client = endpoint.client.__class__(base_url=endpoint.url, trust_env=False)
        wait_for(endpoint._answers, f"answers again, {turn}")
    counts = Counter(
        one["recommendation_id"] for one in shown(endpoint.home / "warehouse" / "shown")
    )
    assert {counts[id_] for id_ in answered} == {1}


def test_the_same_users_are_written_down_where_only_a_share_is(tmp_path: Path) -> None:
    for turn in range(2):
        log(tmp_path / f"{turn}", share=0.3).write([impression(number) for number in range(2000)])
    first, second = ({one["user_id"] for one in shown(tmp_path / f"{turn}")} for turn in range(2))
    assert first == second
    assert 500 < len(first) < 700
    log(tmp_path / "none", share=0.0).write([impression(1)])
    assert not (tmp_path / "none").exists()


def test_a_file_that_was_removed_is_replaced(tmp_path: Path) -> None:
    """As an erasure replaces one that names the user; a second later it is noticed."""
    kept = log(tmp_path)
    kept.write([impression(1)])
    ((path, _, _),) = read_shown(tmp_path, days_shown(tmp_path)[0])
    path.unlink()

    def noticed() -> bool:
        kept.write([impression(2)])
        return bool(shown(tmp_path))

    wait_for(noticed, "another file")
    assert {one["user_id"] for one in shown(tmp_path)} == {"u2"}


def test_a_full_file_is_followed_by_another(tmp_path: Path) -> None:
    kept = log(tmp_path)
    many = [impression(number, movies=["m" * 60] * 100) for number in range(1000)]
    kept.write(many)  # more than a file is otherwise
    kept.write([impression(1000)])
    files = list(read_shown(tmp_path, days_shown(tmp_path)[0]))
    assert sorted((len(ones), torn) for _, ones, torn in files) == [(1, 0), (1000, 0)]
    largest = max((path for path, _, _ in files), key=lambda path: path.stat().st_size)
    assert b"\0" not in largest.read_bytes()  # it was cut to what it holds


def test_a_fork_writes_into_a_file_of_its_own(tmp_path: Path) -> None:
    kept = log(tmp_path)
    kept.write([impression(1)])
    child = os.fork()
    if not child:
        kept.write([impression(2)])
        os._exit(0)
    os.waitpid(child, 0)
    kept.write([impression(3)])
    files = [[one["user_id"] for one in ones] for _, ones, _ in newest(tmp_path)]
    assert sorted(files) == [["u1", "u3"], ["u2"]]


def test_what_a_killed_process_left_half_written_is_counted(tmp_path: Path) -> None:
    kept = log(tmp_path)
    kept.write([impression(1), impression(2)])
    ((path, _, _),) = newest(tmp_path)
    with path.open("r+b") as file:
        file.seek(len(path.read_bytes().rstrip(b"\0")) - 9)
        file.write(bytes(9))
    ((_, found, torn),) = newest(tmp_path)
    assert ([one["user_id"] for one in found], torn) == (["u1"], 1)


def test_on_a_full_disk_lists_are_lost_and_counted(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk."""
    lost: list[int] = []
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    full = log(tmp_path, lost=lost)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE - 1, before[1]))
        full.write([impression(1), impression(2)])
        assert shown(tmp_path) == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    full.write([impression(3)])
    assert lost == [2]
    assert [one["user_id"] for one in shown(tmp_path)] == ["u3"]
    assert len(list(tmp_path.rglob("*.jsonl"))) == 1


def test_where_nothing_can_be_written_answers_go_on(tmp_path: Path) -> None:
    lost: list[int] = []
    (tmp_path / "file").touch()
    log(tmp_path / "file" / "below", lost=lost).write([impression(1), impression(2)])
    assert lost == [2]


def test_threads_do_not_write_over_each_others_lines(tmp_path: Path) -> None:
    """Pages are made by threads while the event loop answers programs."""
    writer = log(tmp_path)
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: writer.write([impression(number)]), range(4000)))
    finally:
        sys.setswitchinterval(usual)
    assert {one["recommendation_id"] for one in shown(tmp_path)} == {f"3-{n}" for n in range(4000)}
