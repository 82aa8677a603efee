"""What the endpoint logs: records that programs read, or text for a person; no ratings."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support import sample_models as models
from tests.support.endpoint_process import EndpointProcess


def test_every_line_is_a_record_with_its_ids(store: Path) -> None:
    endpoint = EndpointProcess(store.parents[1])
    try:
        endpoint.start()
        assert endpoint.reload(3).json()["changed"]
        damaged = models.publish_version(store, 4)
        (damaged / "top_items.npy").write_bytes(b"")
        assert endpoint.reload(4).status_code == 409
        assert endpoint.client.get("/recommend/u1").status_code == 200
    finally:
        assert endpoint.stop() == 0
    lines = [json.loads(line) for line in endpoint.log.read_text().splitlines()]
    assert all(
        {"time", "level", "event", "logger", "process", "pid"} <= line.keys() for line in lines
    )
    told = {(line["level"], line["event"].split(":")[0], line.get("version")) for line in lines}
    assert ("info", "committed version 3, after none", 3) in told
    assert ("warning", "refused version 4", 4) in told
    assert [line for line in lines if line["level"] == "error"] == []


def test_a_person_may_have_text(store: Path) -> None:
    endpoint = EndpointProcess(store.parents[1], MOVIEREC_LOG_FORMAT="text")
    try:
        endpoint.start()
        assert endpoint.reload(3).json()["changed"]
    finally:
        assert endpoint.stop() == 0
    said = endpoint.log.read_text().splitlines()
    assert any(line.endswith("committed version 3, after none") for line in said)
    assert not any(line.startswith("{") for line in said)
