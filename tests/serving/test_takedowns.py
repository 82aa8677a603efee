"""Takedowns at endpoints that have nothing but an object store in common."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
import pytest

from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.bundle.publications import Publications
from movierec_serving.errors import BlocklistError, StoreError
from movierec_serving.model.blocklist import Blocklist
from movierec_serving.model.takedowns import TakedownLog
from tests.support import sample_models as models
from tests.support.bucket import Bucket, Fault
from tests.support.endpoint_process import TOKEN, EndpointProcess, descendants, wait_for

ADMIN = {"Authorization": f"Bearer {TOKEN}"}


def endpoint(folder: Path, url: str, lease: float = 60) -> Blocklist:
    """The blocklist of an endpoint with a folder of its own, after its first look."""
    (folder / "models").mkdir(parents=True, exist_ok=True)
    found = Blocklist(folder / "models", TakedownLog(ObjectStore(url, 0.8), lease))
    found.follow()
    return found


def test_who_has_not_looked_since_an_acknowledgement_answers_nothing(
    url: str, tmp_path: Path
) -> None:
    here, there = (endpoint(tmp_path / name, url, lease=0.01) for name in "ab")
    assert here.set("m1", blocked=True)
    with pytest.raises(BlocklistError, match="not known which movies others have taken off"):
        there.ids()
    patient = endpoint(tmp_path / "b", url)
    assert patient.ids() == {"m1"}
    patient.forget_looks()  # as a machine that was started again
    with pytest.raises(BlocklistError):
        patient.ids()
    assert not there.set("m1", blocked=True)
    assert there.set("m1", blocked=False)
    assert endpoint(tmp_path / "a", url).ids() == frozenset()
    assert json.loads((tmp_path / "a" / "blocklist.json").read_text()) == []


def test_of_many_at_once_none_is_lost_and_a_newcomer_knows_all(url: str, tmp_path: Path) -> None:
    ten = [endpoint(tmp_path / str(number), url, lease=0.01) for number in range(10)]
    with ThreadPoolExecutor(10) as pool:
        done = pool.map(lambda n: ten[n].set(f"m{n}", blocked=True), range(10))
        assert all(done)
    assert endpoint(tmp_path / "new", url).ids() == {f"m{number}" for number in range(10)}


def test_what_the_store_did_not_keep_is_not_acknowledged(
    server: Bucket, url: str, tmp_path: Path
) -> None:
    one = endpoint(tmp_path, url, lease=0.01)
    server.faults.append(Fault("500", "PUT", times=1000))
    with pytest.raises(StoreError):
        one.set("m1", blocked=True)
    server.faults[:] = [Fault("lost answer", "PUT")]
    assert one.set("m1", blocked=True)  # kept, though the first answer was lost
    server.faults[:] = [Fault("404", "HEAD", times=1000), Fault("404", "GET", times=1000)]
    with pytest.raises(StoreError, match="too many others"):  # the log seems to be gone
        one.set("m2", blocked=True)
    server.faults.clear()
    assert endpoint(tmp_path, url).ids() == {"m1"}


def test_takedowns_of_before_the_store_and_of_a_lost_log_are_in_it(
    url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "a" / "models"
    folder.mkdir(parents=True)
    Blocklist(folder).set("old", blocked=True)
    one = endpoint(tmp_path / "a", url, lease=0.01)
    assert endpoint(tmp_path / "b", url).ids() == {"old"}
    one.set("new", blocked=True)
    driver = ObjectStore(url)._driver
    for number in (1, 2):
        obstore.delete(driver, f"takedowns/{number}")
    one.follow()
    assert endpoint(tmp_path / "b", url).ids() == {"old", "new"}
    moved = endpoint(tmp_path / "a", f"{url}-moved")  # another store, another log
    assert moved.ids() == {"old", "new"}


def test_endpoints_come_up_empty_and_no_takedown_is_missed_by_one_that_cannot_look(
    url: str, tmp_path: Path
) -> None:
    source = tmp_path / "pipeline" / "models"
    shared = Publications(ObjectStore(url))
    for version in (1, 2):
        models.publish_version(source, version)
        shared.publish(source, version)
    shared.name_production(1)
    few = {"MOVIEREC_STORE": url, "MOVIEREC_SERVING_API_PROCESSES": "1"}
    a, b = (EndpointProcess(tmp_path / name, **few) for name in "ab")
    try:
        for one in (a, b):
            one.home.mkdir()
            one.start()
        for one in (a, b):
            wait_for(lambda one=one: one.client.get("/health").status_code == 200, "it serves")
            assert one.client.get("/model").json()["version"] == 1
            assert one.reload(2).json()["version"] == 2
            assert one.reload(7).status_code == 404
        os.kill(follower(a), signal.SIGKILL)  # it is replaced
        stopped = follower(b)
        os.kill(stopped, signal.SIGSTOP)
        assert "m2" in popular(a)
        assert a.client.put("/blocklist/m2", headers=ADMIN, timeout=60).json()["changed"]
        assert b.client.get("/popular").status_code == 503
        os.kill(stopped, signal.SIGCONT)
        for one in (a, b):
            wait_for(lambda one=one: one.client.get("/popular").status_code == 200, "it lists")
            assert "m2" not in popular(one)
    finally:
        for one in (a, b):
            one.close()


def follower(endpoint: EndpointProcess) -> int:
    """The process id of an endpoint's follower."""
    return next(
        pid
        for pid in descendants(endpoint.process.pid)
        if b"model.follower" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )


def popular(endpoint: EndpointProcess) -> set[str]:
    answer = endpoint.client.get("/popular", params={"n": 100}).json()
    return {movie["movie_id"] for movie in answer["items"]}
