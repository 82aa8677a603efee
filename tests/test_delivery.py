"""What is delivered, and how it is named: locks, commit messages, a release's notes, builds."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from deploy.images import folders, pip_configuration, version
from deploy.release import checked

ROOT = Path(__file__).parents[1]
CHANGELOG = "# Changelog\n\n## Unreleased\n\n- b\n\n## 1.2.0, 3 May\n\n- a\n\n## 1.1.0\n\n- z\n"
ACTION = re.compile(r"uses: (\S+)(.*)$", re.M)


def pins(lock: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, number in re.findall(r"^([\w.-]+)==([^\s;\\]+)", (ROOT / lock).read_text(), re.M):
        found.setdefault(name, set()).add(number)
    return found


def test_the_serving_image_gets_what_the_platform_is_tested_with() -> None:
    serving, whole = pins("deploy/serving.lock"), pins("requirements.lock")
    assert {name: number for name, number in serving.items() if not number <= whole[name]} == {}
    with (ROOT / "pyproject.toml").open("rb") as file:
        needed = tomllib.load(file)["project"]["dependencies"]
    names = {re.match(r"[\w-]+", one)[0] for one in needed}  # type: ignore[index]
    assert names - serving.keys() == set(), "run `make lock`"


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ("A day that was lost is named, and made again\n\nIt was trained cold.\n", None),
        ("Merge branch 'x'\n", None),
        ("Version 1.2.0\n", None),
        ("fix bug\n", "say in a sentence"),
        ("feat: users can be forgotten now\n", "no type in front"),
        ("A day that was lost is named.\n", "without a full stop"),
        ("A day that was lost\nis named\n", "second line is empty"),
        ("WIP a day that was lost\n", "unfinished"),
        (f"A day {'x' * 120}\n", "at most 120"),
    ],
)
def test_a_commit_message_says_what_changed(
    message: str, fault: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "message"
    file.write_text(message)
    command = [sys.executable, str(ROOT / ".ci" / "commits.py"), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr != "") == ((1, True) if fault else (0, False))
    assert fault is None or fault in done.stderr


def test_a_releases_notes_are_its_section() -> None:
    assert checked("v1.2.0", CHANGELOG, "1.2.0") == "- a\n"
    with pytest.raises(ValueError, match=r"tag is v1.2.0, pyproject.toml has version 1.3.0"):
        checked("v1.2.0", CHANGELOG, "1.3.0")
    with pytest.raises(ValueError, match=r"nothing under `## 1.3.0`"):
        checked("v1.3.0", CHANGELOG, "1.3.0")


def test_files_that_name_the_version_name_this_one() -> None:
    for name in ("compose.yaml", "kubernetes/endpoint.yaml", "kubernetes/dagster-values.yaml"):
        text = (ROOT / "deploy" / name).read_text()
        found = re.findall(r"movierec-(?:serving|pipeline)(?::|\n\s+tag: )(\d+\.\d+\.\d+)", text)
        assert set(found) == {version()}, name


def test_every_action_is_pinned_by_its_hash_and_names_its_version() -> None:
    files = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    used = [found for file in files for found in ACTION.findall(file.read_text())]
    assert len(used) > 5
    assert [one for one, rest in used if not re.fullmatch(r"\S+@[0-9a-f]{40}", one)] == []
    assert [one for one, rest in used if not re.fullmatch(r" # v[\d.]+", rest)] == []


def test_a_build_sees_what_pip_is_told_and_the_folders_that_it_names(tmp_path: Path) -> None:
    index, wheels = tmp_path / "index" / "simple", tmp_path / "wheels"
    for folder in (index, wheels):
        folder.mkdir(parents=True)
    told = {
        "extra-index-url": f"file://{index} https://packages.example/simple",
        "find-links": f"{wheels} /nowhere/at/all",
        "constraint": "/etc/constraints.txt",
    }
    assert pip_configuration(told) == (
        f"[global]\nextra-index-url = file://{index} https://packages.example/simple\n"
        f"find-links = {wheels} /nowhere/at/all\n"
    )
    assert sorted(folders(told)) == [str(tmp_path / "index"), str(wheels)]
