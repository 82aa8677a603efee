"""What a release says of itself: `python -m deploy.release notes vX.Y.Z`, and `draft` before it.

The version is pyproject's; the git tag, the changelog's heading and the images' tag are the same.
"""

from __future__ import annotations

import re
import subprocess
import sys

from deploy.images import ROOT, version


def notes(changelog: str, number: str) -> str:
    """The section of a version.

    Raises:
        ValueError: there is none, or nothing stands in it.
    """
    section = re.search(rf"^## {re.escape(number)}\b.*?\n(.*?)(?=^## |\Z)", changelog, re.M | re.S)
    if section is None or not section[1].strip():
        raise ValueError(f"CHANGELOG.md has nothing under `## {number}`")
    return section[1].strip() + "\n"


def checked(tag: str, changelog: str, stated: str) -> str:
    """The notes of a tag, if tag and version agree.

    Raises:
        ValueError: they do not, or the changelog lacks the version.
    """
    number = tag.removeprefix("v")
    if number != stated:
        raise ValueError(f"the tag is {tag}, pyproject.toml has version {stated}")
    return notes(changelog, number)


def draft() -> str:
    """The sentences of the commits since the last tag whose change has no line in the changelog."""
    git = ["git", "-C", str(ROOT)]
    last = subprocess.run(
        [*git, "describe", "--tags", "--abbrev=0"], capture_output=True, text=True
    )
    since = [f"{last.stdout.strip()}..HEAD"] if last.returncode == 0 else []
    command = [*git, "log", "--reverse", "--no-merges", "--format=%x00%s", "--name-only", *since]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    commits = [part.split("\n") for part in text.split("\0") if part]
    return "".join(f"- {lines[0]}.\n" for lines in commits if "CHANGELOG.md" not in lines)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["notes", tag]:
            changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
            try:
                sys.stdout.write(checked(tag, changelog, version()))
            except ValueError as error:
                sys.stderr.write(f"release: {error}\n")
                return 1
        case ["draft"]:
            sys.stdout.write(draft())
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
