"""`movierec up`: its ports, its homes, what it tells, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from demo.processes import free_port, wait_until
from movierec_assets.cli.news import News, promotion, refusals, told_of_run
from movierec_assets.cli.ports import Port, conflicts, ports_of
from movierec_assets.cli.processes import LOG_BYTES, LoggedProcess, stop_all
from movierec_assets.cli.setup import set_up
from movierec_assets.cli.up import up
from movierec_assets.errors import HomeError, InUseError
from movierec_assets.settings import Settings, settings
from tests.conftest import ROOT, Platform
from tests.support.endpoint_process import descendants, parent_of, wait_until_gone
from tests.support.processes import started

DAY, NEXT_DAY = "1998-03-02", "1998-03-03"
DEADLINE_S = 120.0
PORTS = (
    "MOVIEREC_SERVING_PORT",
    "DAGSTER_WEBSERVER_PORT",
    "MOVIEREC_METRICS_PORT",
    "MOVIEREC_MLFLOW_PORT",
)


@contextmanager
def listener(host: str = "127.0.0.1") -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as somebody:
        somebody.bind((host, 0))
        somebody.listen()
        yield somebody.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_a_taken_port_is_named_with_the_setting_that_moves_it(host: str) -> None:
    with listener(host) as number:
        (reason,) = conflicts([Port("MLflow's UI", number, "MOVIEREC_MLFLOW_PORT")])
    assert f"port {number} of MLflow's UI is taken" in reason
    assert "set MOVIEREC_MLFLOW_PORT" in reason
    assert conflicts([Port("MLflow's UI", number, "MOVIEREC_MLFLOW_PORT")]) == []


def test_two_processes_cannot_be_given_one_port() -> None:
    number = free_port()
    ports = [Port("the endpoint", number, "ONE"), Port("Dagster's UI", number, "TWO")]
    assert conflicts(ports) == [
        f"port {number} is asked for by the endpoint and Dagster's UI: set TWO to another"
    ]


def test_every_port_has_a_setting(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate(PORTS, 4000):
        monkeypatch.setenv(name, str(number))
    ports = ports_of(Settings())
    assert {port.setting: port.number for port in ports} == dict(
        zip(PORTS, (4000, 4001, 4002, 4003), strict=True)
    )
    own = ports_of(Settings(MLFLOW_TRACKING_URI="http://mlflow.example"))  # a server of the user's
    assert [port.setting for port in own] == list(PORTS[:3])


def test_the_endpoint_to_reload_follows_the_serving_port(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MOVIEREC_ENDPOINTS")
    monkeypatch.setenv("MOVIEREC_SERVING_PORT", "8123")
    assert Settings().endpoints == ("http://127.0.0.1:8123",)


def test_a_taken_port_stops_everything_before_it_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PORTS:
        monkeypatch.setenv(name, str(free_port()))
    with listener() as number:
        monkeypatch.setenv("DAGSTER_WEBSERVER_PORT", str(number))
        settings.cache_clear()
        with pytest.raises(InUseError, match=r"set DAGSTER_WEBSERVER_PORT .* Nothing was started"):
            up(home)
    assert not (home / "warehouse" / "logs").exists()
    assert not (home / "warehouse" / "movierec.duckdb").exists()


@pytest.mark.parametrize("name", ["50%25", "what?"])
def test_a_path_that_databases_misread_is_refused_before_anything_is_written(
    home: Path, name: str
) -> None:
    folder = home / name
    folder.mkdir()
    for file in ("dagster.yaml", "workspace.yaml"):
        (folder / file).write_bytes((home / file).read_bytes())
    with pytest.raises(HomeError, match=r"a % or \? in the path .* rename the folder"):
        set_up(folder)
    assert sorted(file.name for file in folder.iterdir()) == ["dagster.yaml", "workspace.yaml"]


def test_a_folder_without_dagsters_files_is_no_home(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match=r"dagster\.yaml is missing: run this in movierec's folder"):
        set_up(tmp_path)
    assert list(tmp_path.iterdir()) == []


KILLED = """
import sys
from pathlib import Path
from movierec_assets.cli.guardian import Guardian
from movierec_assets.cli.processes import LoggedProcess
child = "import signal; signal.pause()"
parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
with Guardian() as guardian:
    folder = Path(sys.argv[1])
    for name, code in (("alone", child), ("parent", parent)):
        process = LoggedProcess(name, [sys.executable, "-c", code], folder / name, folder)
        guardian.guard(process.group)
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_a_kill_of_up_leaves_none_of_its_processes_behind(tmp_path: Path) -> None:
    with started(KILLED, str(tmp_path)) as process:
        wait_until(lambda: len(descendants(process.pid)) == 4, "all have started", DEADLINE_S)
        below = descendants(process.pid)
        process.kill()
        wait_until_gone(below)


def test_the_news_name_what_was_refused_failed_and_promoted(platform: Platform) -> None:
    platform.deliver(DAY, ratings=1200)
    news = News(platform.instance, platform.serving_client, "http://ui")
    assert not platform.run(DAY, NEXT_DAY).success  # the second day was not delivered
    lines = news.lines()
    assert lines[0].startswith("version 1 is in production, data until 1998-03-02 (before: none)")
    failed = next(line for line in lines if "failed" in line)
    assert failed.startswith(f"daily of {DAY} to {NEXT_DAY} failed: raw_ratings: 1 of 2 days")
    assert "http://ui/runs/" in failed
    assert news.lines() == []


def test_a_check_that_only_warns_is_not_said_to_have_failed() -> None:
    @dg.asset(check_specs=[dg.AssetCheckSpec("as_usual", asset="day")])
    def day() -> dg.MaterializeResult:
        warning = dg.AssetCheckResult(
            passed=False, severity=dg.AssetCheckSeverity.WARN, description="more than usual"
        )
        return dg.MaterializeResult(check_results=[warning])

    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.get_run_by_id(dg.materialize([day], instance=instance).run_id)
        told = list(told_of_run(instance, run, "http://ui"))
    assert told[-1] == "check as_usual of day warns: more than usual"


def test_a_refused_day_is_among_the_news(platform: Platform) -> None:
    platform.landing_zone.deliver(DAY, b"user_id,movie_id,rating,timestamp,more\n")
    news = News(platform.instance, platform.serving_client, "http://ui")
    platform.run(DAY)
    assert f"check chunks_readable of raw_ratings failed: refused: {DAY}" in news.lines()


def test_only_a_version_that_is_not_promoted_needs_a_word() -> None:
    passed = {"day": DAY, "verdict": "passed", "version": 3, "reason": "no worse"}
    assert list(refusals([passed])) == []
    waiting = {**passed, "verdict": "awaiting_approval", "reason": "manual {n}"}
    assert list(refusals([waiting])) == [f"version 3 of {DAY}: awaiting approval: manual {{n}}"]


def test_days_that_have_one_model_are_told_of_together() -> None:
    event = {"day": "2026-01-01", "verdict": "refused", "version": 3, "reason": "worse"}
    later = [{**event, "day": "2026-01-02"}, {**event, "day": "2026-01-03", "version": 4}]
    assert list(refusals([event, *later])) == [
        "version 3 of 2026-01-01 to 2026-01-02: refused: worse",
        "version 4 of 2026-01-03: refused: worse",
    ]


def test_production_may_be_nobody() -> None:
    event = {"version": 0, "from": 3, "data until": "none", "why": "all are revoked"}
    assert promotion(event) == "nothing is in production any more: all are revoked"


def test_a_log_is_kept_to_its_size_and_no_child_outlives_its_group(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"for _ in range({LOG_BYTES // 1000 + 1000}): print('x' * 999)\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    log = tmp_path / "logs" / "loud.log"
    process = LoggedProcess("loud", [sys.executable, "-c", code], log, tmp_path)

    def last_line() -> int | None:
        lines = log.read_text().splitlines()
        said = json.loads(lines[-1])["event"] if lines and lines[-1].endswith("}") else ""
        return int(said) if said.isdigit() else None

    child = wait_until(last_line, "the child is there", DEADLINE_S)
    assert 0 < log.stat().st_size <= LOG_BYTES
    assert log.with_name("loud.log.1").stat().st_size <= LOG_BYTES
    stop_all([process])
    assert process.exit_code is not None
    wait_until_gone({child})


@contextmanager
def platform_up(home: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A real `movierec up`; what it writes to its console."""
    environment = {name: str(free_port()) for name in PORTS}
    console = home / "console"
    with console.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "movierec_assets", "up"],
            cwd=home,
            env={**os.environ, **environment, "PYTHONPATH": str(ROOT), "MOVIEREC_ENDPOINTS": ""},
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )
        try:
            started = "five processes and the guardian"
            wait_until(lambda: len(children_of(process.pid)) == 6, started, DEADLINE_S)
            yield process, console
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(DEADLINE_S)


def children_of(pid: int) -> set[int]:
    return {child for child in descendants(pid) if parent_of(child) == pid}


def test_ctrl_c_ends_all_without_a_traceback(home: Path) -> None:
    with platform_up(home) as (process, console):
        family = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 0
        wait_until_gone(family)
    text = console.read_text()
    assert "Traceback" not in text
    assert text.endswith("all stopped\n")


def test_a_process_that_dies_is_named_with_its_log_and_takes_the_others_along(home: Path) -> None:
    with platform_up(home) as (process, console):
        family = descendants(process.pid)
        endpoint = next(
            pid
            for pid in children_of(process.pid)
            if b"movierec_serving" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        os.kill(endpoint, signal.SIGKILL)
        assert process.wait(DEADLINE_S) == 1
        wait_until_gone(family)
    log = home / "warehouse" / "logs" / "endpoint.log"
    assert f"endpoint ended by itself with code -9: see {log}" in console.read_text()
