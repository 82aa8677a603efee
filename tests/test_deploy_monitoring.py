"""The files for Prometheus, Alertmanager and Grafana: checked by their programs, and complete."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml
from markdown.extensions.toc import slugify
from typer.main import get_command

import movierec_assets.errors
import movierec_serving.errors
from demo.gameday.breaks import BREAKS
from movierec_assets.cli.app import app
from movierec_assets.monitoring import production_age
from tests.conftest import ROOT, Platform
from tests.support.monitoring import DEPLOY, needs_programs

RUNBOOK = (ROOT / "docs" / "how-to" / "runbook.md").read_text(encoding="utf-8")
ALERTS = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus/rules/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]


@needs_programs
@pytest.mark.parametrize(
    "command",
    [
        ["promtool", "check", "config", "prometheus/prometheus.yml"],
        ["promtool", "test", "rules", "prometheus/tests/alerts.yml"],
        ["amtool", "check-config", "alertmanager/alertmanager.yml"],
    ],
)
def test_the_programs_own_checks_pass(command: list[str]) -> None:
    done = subprocess.run(command, cwd=DEPLOY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_heading_a_test_and_a_severity() -> None:
    headings = {slugify(name, "-"): name for name in re.findall(r"^## (.+)$", RUNBOOK, re.M)}
    tests = yaml.safe_load((DEPLOY / "prometheus/tests/alerts.yml").read_text())["tests"]
    tested = {case["alertname"] for one in tests for case in one.get("alert_rule_test", ())}
    assert len(ALERTS) > 15
    for rule in ALERTS:
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (page, headings.get(anchor)) == ("docs/how-to/runbook.md", rule["alert"])
        assert rule["alert"] in tested
        assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(headings.values()) == {rule["alert"] for rule in ALERTS} | {
        "Notices",
        "Jobs",
        "Errors",
    }


def rows_of(heading: str) -> list[str]:
    """The first cells of a section's table."""
    section = RUNBOOK.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| (`.*?) \|", section, re.M)


def test_each_notice_and_each_error_has_a_row_in_the_runbook() -> None:
    sources = [file.read_text() for file in (ROOT / "movierec_assets" / "defs").rglob("*.py")]
    assert len(rows_of("Notices")) == sum(text.count("notifier.send(") for text in sources)
    said = "".join([*sources, Path(production_age.__file__).read_text()])
    for row in rows_of("Notices"):
        words = [part.strip() for part in row.split("`")[1].split("…")]
        assert [part for part in words if part not in said] == [], row
    raised = {
        name
        for module in (movierec_assets.errors, movierec_serving.errors)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, module.MovierecError)
    }
    assert set(re.findall(r"`(\w+)`", " ".join(rows_of("Errors")))) == raised - {"MovierecError"}


def test_each_op_that_takes_a_config_has_a_row_in_the_runbook_with_its_fields(
    platform: Platform,
) -> None:
    wanted = {
        node.name: set(getattr(node.definition.config_schema.config_type, "fields", ()))
        for job in platform.definitions.resolve_all_job_defs()
        for node in job.nodes
        if isinstance(node.definition, dg.OpDefinition)
    }
    section = RUNBOOK.split("\n## Jobs\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*)$", section, re.M)
    told = {op: set(re.findall(r"`(\w+)`", rest)) for op, rest in rows}
    assert told.keys() == {op for op, fields in wanted.items() if fields}
    assert [op for op in told if not wanted[op] <= told[op]] == []


def test_the_runbooks_commands_exist() -> None:
    named = set(re.findall(r"movierec ([a-z]+)(?: --apply)?", RUNBOOK))
    assert {"status", "recover", "metrics", "prune", "up", "forget"} <= named
    assert named <= set(get_command(app).commands)  # type: ignore[attr-defined]


def test_a_game_days_commands_stand_under_the_heading_that_it_mends_by() -> None:
    assert len(BREAKS) == 10
    for one in BREAKS:
        section = RUNBOOK.split(f"\n## {one.entry}\n")[1].split("\n## ")[0]
        assert [command for command in one.commands if command not in section] == [], one.name


def test_dashboards_are_what_their_program_writes_and_ask_for_known_metrics() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import make, json\n"
        "print(json.dumps({name: make.written(name) for name in make.BOARDS}))"
    )
    command = [sys.executable, "-c", code, str(DEPLOY / "grafana")]
    written = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    files = {file.stem: file.read_text() for file in (DEPLOY / "grafana/dashboards").glob("*.json")}
    assert files == written
    assert set(files) == {"service", "pipeline", "models", "experiments"}
