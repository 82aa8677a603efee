"""What processes print becomes records, and `movierec logs` answers questions about them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from movierec_assets.cli.app import app
from movierec_assets.cli.log_lines import Lines
from movierec_assets.cli.logs import since_of
from movierec_assets.errors import LogsError
from movierec_assets.resources.log_files import lines_of

AT = datetime(2026, 3, 1, 6, 30, tzinfo=UTC)
RUN = "7338f36d-93fc-4270-80b3-7f055f788fa6"
PRINTED = f"""\
\x1b[32m2026-03-01 06:30:00 +0000\x1b[0m - dagster.daemon - \x1b[34mINFO\x1b[0m - Priority sorting
2026-03-01 06:30:00 +0000 - dagster - ERROR - daily - {RUN} - als_model - no verdict: 1998-03-02
Traceback (most recent call last):
2026/03/01 06:30:00 WARNING mlflow.store: version 12 is slow
INFO:     Uvicorn running
{{"time": "2026-03-01T06:00:00.000Z", "level": "info", "event": "opened", "version": 3}}
{{"half": 1
"""


def records() -> list[dict[str, object]]:
    lines = Lines("daemon")
    return [json.loads(lines.record(line, AT)) for line in PRINTED.splitlines()]


def test_a_line_becomes_a_record_with_what_it_tells() -> None:
    found = [
        (one["level"], one["event"], *(one.get(name) for name in ("run", "partition", "version")))
        for one in records()
    ]
    event = f"daily - {RUN} - als_model - no verdict: 1998-03-02"
    assert found == [
        ("info", "Priority sorting", None, None, None),
        ("error", event, RUN, "1998-03-02", None),
        ("error", "Traceback (most recent call last):", None, None, None),  # of the one before
        ("warning", "version 12 is slow", None, None, 12),
        ("info", "Uvicorn running", None, None, None),
        ("info", "opened", None, None, 3),
        ("info", '{"half": 1', None, None, None),
    ]
    assert {one["process"] for one in records()} == {"daemon"}
    assert [one["time"] for one in records()][:1] == ["2026-03-01T06:30:00.000Z"]


@pytest.fixture
def folder(home: Path) -> Path:
    """A home's logs, one of them rotated, and one of before there were records."""
    logs = home / "warehouse" / "logs"
    logs.mkdir(parents=True)
    lines = [json.dumps(one) for one in records()]
    (logs / "daemon.log").write_text("\n".join(lines[2:]) + "\n")
    (logs / "daemon.log.1").write_text("\n".join(lines[:2]) + "\n")
    (logs / "old.log").write_text("INFO something in words\n")
    return logs


def test_logs_are_asked_by_time_and_condition(folder: Path) -> None:
    start = datetime(2026, 3, 1, 6, 10)  # noqa: DTZ001 - as it is in the files
    everything = list(lines_of(folder, start, "true", 100))
    assert len(everything) == 6  # not the one of 6:00, and no text
    (line,) = lines_of(folder, start, f"level = 'error' AND run = '{RUN}'", 100)
    assert line["partition"] == "1998-03-02"
    assert "version" not in line
    assert [one["version"] for one in lines_of(folder, start, "version > 10", 100)] == [12]
    assert len(list(lines_of(folder, start, "true", 2))) == 2


@pytest.mark.parametrize(
    "where",
    ["colour = 'red'", "true; DROP TABLE logs", "1 = (SELECT 1 FROM read_text('/etc/hosts'))"],
)
def test_a_condition_that_is_none_or_reads_files_is_refused(folder: Path, where: str) -> None:
    with pytest.raises(LogsError, match=r"--where: .*the columns are time, level"):
        list(lines_of(folder, AT.replace(tzinfo=None), where, 100))


def test_since_is_an_age_or_a_time() -> None:
    now = AT.replace(tzinfo=None)
    assert since_of("90m", AT) == now - timedelta(minutes=90)
    assert since_of("3d", AT) == now - timedelta(days=3)
    assert since_of("2026-03-01T07:30+01:00", AT) == now
    with pytest.raises(ValueError, match="yesterday"):
        since_of("yesterday", AT)


def test_the_command_prints_text_or_json(folder: Path) -> None:
    def ask(*options: str) -> str:
        done = CliRunner().invoke(app, ["logs", "--since", "2026-03-01T06:10", *options])
        assert done.exit_code == 0, done.output
        return done.output

    said = ask("--where", "version = 12")
    assert said == "2026-03-01 06:30:00 warning daemon: version 12 is slow  [version=12]\n"
    assert json.loads(ask("--where", "version = 12", "--json"))["logger"] == "mlflow.store"
    assert CliRunner().invoke(app, ["logs", "--since", "soon"]).exit_code == 2
