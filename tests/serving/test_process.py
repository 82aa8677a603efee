"""The endpoint's life: starting, reloading under load, losing a worker, ending."""

import gc
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from movierec_serving.http.body import answer, read
from movierec_serving.model.holder import ModelHolder
from movierec_serving.runtime.worker import collect_seldom
from tests.support import sample_models as models
from tests.support.endpoint_process import (
    PATIENCE,
    TOKEN,
    EndpointProcess,
    descendants,
    parent_of,
    wait_for,
    wait_until_gone,
)

MANY = {"users": ["u1"]}  # a worker answers it; a question for one is answered where it arrives
ADMIN = {"Authorization": f"Bearer {TOKEN}"}
RELOADS = [2, 3, 1, 3, 2, 1] * 3


def test_a_home_may_have_any_name(tmp_path: Path) -> None:
    """Nothing takes its path for a format, a pattern or an address."""
    home = tmp_path / "a %41 home? #x {y} %s [z]"
    home.mkdir()
    endpoint = EndpointProcess(home)
    models.publish_version(endpoint.store, 3)
    try:
        endpoint.start()
        assert endpoint.reload(3).json()["changed"]
        assert endpoint.client.get("/recommend/u1").status_code == 200
        for body in ({"user_id": "u1"}, MANY):
            assert endpoint.client.post("/recommend", json=body).status_code == 200
        assert endpoint.client.put("/blocklist/m1", headers=ADMIN).json()["changed"]
    finally:
        assert endpoint.stop() == 0
    assert "Traceback" not in endpoint.log.read_text()


def test_before_a_model_is_deployed_it_says_so(tmp_path: Path) -> None:
    endpoint = EndpointProcess(tmp_path, token=None).start()
    try:
        answers = [endpoint.client.get(path) for path in ("/health", "/model", "/recommend/u1")]
        answers += [
            endpoint.client.post("/recommend", json=body) for body in ({"user_id": "u1"}, MANY)
        ]
        for answer in answers:
            assert answer.status_code == 503
            assert answer.json() == {"detail": "no model version has been deployed yet"}
            assert answer.headers["Retry-After"] == "1"
        for token in (None, "wrong", TOKEN):  # and nobody can deploy where no token is set
            answer = endpoint.reload(1, token)
            assert answer.status_code == 403
            assert "MOVIEREC_RELOAD_TOKEN is not set" in answer.json()["detail"]
    finally:
        assert endpoint.stop() == 0
    assert not (tmp_path / "client.py").exists()


def test_reloads_under_load_fail_no_request_and_leave_no_older_answer(
    endpoint: EndpointProcess,
) -> None:
    endpoint.reload(1)
    sequence, acknowledged, done = [1, *RELOADS], [0], threading.Event()

    answered = [0] * 5

    def stream(number: int, way: str, keep_alive: int) -> set[int]:
        versions = set()
        limits = httpx.Limits(max_keepalive_connections=keep_alive)
        with endpoint.another_client(limits=limits) as client:
            while not done.is_set():
                sent_after = acknowledged[0]
                if way == "GET":
                    answer = client.get("/recommend/u1")
                else:
                    body = {"user_id": "u1"} if way == "POST" else MANY
                    answer = client.post("/recommend", json=body)
                assert answer.status_code == 200, answer.text
                version, day = answer.json()["model_version"], answer.json()["data_until"]
                # Nothing older than what was acknowledged at sending; one reload may be under way.
                assert version in sequence[sent_after : acknowledged[0] + 2]
                assert (answer.headers["X-Model-Version"], day) == (
                    str(version),
                    f"1998-04-{version:02d}",
                )
                answered[number] += 1
                versions.add(version)
        return versions

    with ThreadPoolExecutor(5) as pool:
        kinds = [("GET", 0), ("GET", 1), ("POST", 0), ("POST many", 0), ("POST many", 1)]
        streams = [pool.submit(stream, number, *kind) for number, kind in enumerate(kinds)]
        try:
            for version in RELOADS:
                assert endpoint.reload(version).status_code == 200
                acknowledged[0] += 1
                goal = [
                    count + 2 for count in answered
                ]  # the second was sent after the acknowledgement
                wait_for(
                    lambda goal=goal: (
                        any(s.done() for s in streams)
                        or all(have >= want for have, want in zip(answered, goal, strict=True))
                    ),
                    "every stream has an answer of this version",
                )
        finally:
            done.set()
        assert [each.result() for each in streams] == [{1, 2, 3}] * 5


def test_it_comes_up_on_the_committed_version(fresh: EndpointProcess) -> None:
    fresh.start()
    assert fresh.reload(3).status_code == 200
    assert fresh.stop() == 0
    again = EndpointProcess(fresh.home, port=fresh.port).start()
    try:
        assert again.client.get("/model").json()["version"] == 3
        assert again.client.post("/recommend", json=MANY).json()["model_version"] == 3
    finally:
        assert again.stop() == 0
    assert TOKEN not in fresh.log.read_text()


def test_a_committed_version_that_cannot_be_opened_is_no_health(fresh: EndpointProcess) -> None:
    fresh.start()
    assert fresh.reload(3).status_code == 200
    fresh.stop()
    shutil.move(fresh.store / "3", fresh.home / "away")
    again = EndpointProcess(fresh.home, port=fresh.port).start()
    try:
        answer = again.client.get("/health")
        assert answer.status_code == 503
        assert "version 3 is committed and cannot be opened" in answer.json()["detail"]
        shutil.move(fresh.home / "away", fresh.store / "3")
        assert again.client.get("/health").status_code == 200
        models.publish_version(again.store, 4)
        assert again.reload(4).json() == {"version": 4, "previous": 3, "changed": True}
    finally:
        again.stop()


def test_a_worker_that_dies_is_replaced_and_nobody_waits_for_ever(fresh: EndpointProcess) -> None:
    fresh.start()
    fresh.reload(3)
    (worker,) = [
        pid
        for pid in descendants(fresh.process.pid)
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(worker, signal.SIGSTOP)
    answer = fresh.client.post("/recommend", json=MANY)
    assert (answer.status_code, answer.json()) == (504, {"detail": "no answer within 2 s"})
    assert fresh.client.get("/recommend/u1").status_code == 200
    os.kill(worker, signal.SIGKILL)
    wait_for(
        lambda: fresh.client.post("/recommend", json=MANY).status_code == 200,
        "a new worker answers",
    )


def manager_of(endpoint: EndpointProcess) -> int:
    """LitServe's first child."""
    main = endpoint.process.pid
    return int(Path(f"/proc/{main}/task/{main}/children").read_text().split()[0])


def test_while_the_manager_hangs_everybody_has_an_answer_within_the_deadline(
    fresh: EndpointProcess,
) -> None:
    """It holds the queue that POST puts into."""
    fresh.start()
    fresh.reload(3)
    os.kill(manager := manager_of(fresh), signal.SIGSTOP)

    def ask(number: int) -> tuple[int, int]:
        with fresh.another_client() as client:
            return (
                client.post("/recommend", json=MANY).status_code,
                client.get("/recommend/u1").status_code,
            )

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {(504, 200)}
    os.kill(manager, signal.SIGCONT)
    wait_for(lambda: ask(0) == (200, 200), "the worker answers again")


def test_a_signal_ends_it_while_the_manager_hangs(fresh: EndpointProcess) -> None:
    fresh.start()
    family = descendants(fresh.process.pid)
    os.kill(manager_of(fresh), signal.SIGSTOP)
    fresh.process.send_signal(signal.SIGTERM)
    assert fresh.process.wait(PATIENCE) in (0, 1)  # LitServe gives the manager up, or we do
    wait_until_gone(family)


def test_an_api_process_that_dies_is_replaced_and_its_counts_stay(fresh: EndpointProcess) -> None:
    fresh.start()
    assert fresh.reload(3).json()["changed"]

    def answering() -> int:
        with fresh.another_client() as client:
            answer = client.get("/model")
            assert answer.status_code == 200, answer.text
            return int(answer.json()["pid"])

    before: set[int] = set()
    wait_for(lambda: len(before.add(answering()) or before) == 2, "both processes have answered")
    dead = before.pop()
    os.kill(dead, signal.SIGKILL)
    wait_for(lambda: parent_of(dead) is None, "it is gone")
    after: set[int] = set()
    wait_for(lambda: len(after.add(answering()) or after) == 2, "another has taken its place")
    assert before < after
    assert dead not in after
    with fresh.another_client() as client:
        assert (
            'movierec_requests_total{method="POST",route="/reload",status="200"} 1.0'
            in client.get("/metrics").text
        )


def held(endpoint: EndpointProcess) -> tuple[httpx.Client, int]:
    """A client with a connection, and the API process at its other end."""
    client = endpoint.another_client()
    return client, int(client.get("/model").json()["pid"])


def test_a_process_that_was_stopped_answers_from_what_was_committed_meanwhile(
    fresh: EndpointProcess,
) -> None:
    models.publish_version(fresh.store, 4)
    fresh.start()
    fresh.reload(3)
    client, stopped = held(fresh)
    os.kill(stopped, signal.SIGSTOP)
    with fresh.another_client() as other:  # the other process accepts
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert other.post("/reload", json={"version": 4}, headers=headers).json()["changed"]
        opened = {one["pid"]: one["version"] for one in other.get("/model").json()["processes"]}
    assert opened[stopped] == 3
    os.kill(stopped, signal.SIGCONT)
    answer = client.get("/model").json()
    assert (answer["pid"], answer["version"]) == (stopped, 4)
    assert client.get("/recommend/u1").json()["model_version"] == 4
    client.close()


def test_a_request_of_a_process_that_dies_gets_an_error(fresh: EndpointProcess) -> None:
    fresh.start()
    fresh.reload(3)
    connection = http.client.HTTPConnection("127.0.0.1", fresh.port, timeout=PATIENCE)
    connection.request("GET", "/model")
    dying = json.load(connection.getresponse())["pid"]
    os.kill(dying, signal.SIGSTOP)
    connection.request("GET", "/recommend/u1")
    os.kill(dying, signal.SIGKILL)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        connection.getresponse()
    connection.close()


def test_processes_that_cannot_open_what_is_committed_are_replaced(fresh: EndpointProcess) -> None:
    """By others that can, when they can; until then nothing else is served."""
    fresh.start()
    fresh.reload(3)
    fresh.stop()
    shutil.move(fresh.store / "3", fresh.home / "away")
    again = EndpointProcess(fresh.home, port=fresh.port).start()
    try:
        before = descendants(again.process.pid)

        def replaced() -> bool:
            with again.another_client() as client:
                try:
                    assert client.get("/recommend/u1").status_code == 503
                    assert client.post("/recommend", json=MANY).status_code in (
                        503,
                        504,
                    )
                except httpx.TransportError:  # to a process that was just leaving
                    pass
            return (
                len(before - descendants(again.process.pid)) == 3
            )  # two API processes and the worker

        wait_for(replaced, "all that answer have been replaced")
        shutil.move(fresh.home / "away", again.store / "3")
        wait_for(lambda: again.client.get("/health").status_code == 200, "it serves")
    finally:
        again.stop()


def test_a_port_that_is_taken_is_an_error_at_once(fresh: EndpointProcess) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", fresh.port))
        other.listen()
        assert fresh.launch().wait(PATIENCE) != 0
    assert "Address already in use" in fresh.log.read_text()


@pytest.mark.parametrize(
    ("arguments", "store", "cause"),
    [
        (["--port", "80"], "nowhere", "MOVIEREC_SERVING_PORT"),
        (["--host", "nowhere"], "", "MOVIEREC_SERVING_HOST"),
        (["--host", "nowhere"], "nowhere", "MOVIEREC_STORE"),
    ],
)
def test_wrong_settings_are_named(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], store: str, cause: str
) -> None:
    monkeypatch.setenv("MOVIEREC_STORE", store)
    said = refusal(*arguments)
    assert said.startswith(f"settings: {cause}")
    assert "MOVIEREC_SERVING_HOST" in said or "--host" not in arguments


def test_settings_that_do_not_go_together_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_SHARD", "1/2")
    monkeypatch.setenv("MOVIEREC_HOME", str(tmp_path))
    assert refusal().startswith("settings: MOVIEREC_SHARD needs MOVIEREC_STORE")


def refusal(*arguments: str) -> str:
    """What the endpoint says as it ends at once."""
    command = [sys.executable, "-m", "movierec_serving", *arguments]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert outcome.returncode == 1
    return outcome.stderr


def test_the_collector_of_garbage_does_not_run_while_many_are_answered(
    holder: ModelHolder,
) -> None:
    usual, runs = gc.get_threshold(), list[str]()
    asked = read(json.dumps({"users": [f"u{number}" for number in range(300)]}).encode())
    gc.collect()
    gc.callbacks.append(lambda phase, about: runs.append(phase))
    try:
        collect_seldom()
        assert answer(holder, asked).status == 200
    finally:
        gc.callbacks.pop()
        gc.set_threshold(*usual)
    assert not runs
