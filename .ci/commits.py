"""The rule for commit messages: `.ci/commits.py FILE` checks one, `--range A..B` all of a range.

CONTRIBUTING.md says it in words. The hook of pre-commit and CI run this; standard library only.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

LONGEST = 120
UNFINISHED = re.compile(r"(wip\b|fixup!|squash!|amend!|tmp\b)", re.I)
TYPED = re.compile(r"(feat|fix|chore|docs|refactor|perf|style|test|build|ci)(\(.*\))?!?:")
BY_GIT = re.compile(r"(Merge|Revert) |Version \d+\.\d+\.\d+$")


def faults(message: str) -> list[str]:
    """What a message lacks, in words; none if it may stay."""
    lines = [line.rstrip() for line in message.splitlines() if not line.startswith("#")]
    while lines and not lines[0]:
        lines.pop(0)
    subject = lines[0] if lines else ""
    if BY_GIT.match(subject):
        return []
    rules = {
        "say in a sentence what changed for the user": len(subject.split()) < 3,
        f"the first line has at most {LONGEST} signs": len(subject) > LONGEST,
        "the first line ends without a full stop": subject.endswith("."),
        "no type in front: the sentence says it": TYPED.match(subject) is not None,
        "it is unfinished by its own words": UNFINISHED.match(subject) is not None,
        "the second line is empty": len(lines) > 1 and lines[1] != "",
    }
    return [rule for rule, broken in rules.items() if broken]


def messages(commits: str) -> list[tuple[str, str]]:
    """The short name and the message of each commit of a range."""
    command = ["git", "log", "--format=%h%x00%B%x01", commits]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    parts = [part.strip("\n").split("\0", 1) for part in text.split("\1") if part.strip()]
    return [(name, message) for name, message in parts]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="a file with one message")
    parser.add_argument("--range", dest="commits", help="such as origin/main..HEAD")
    options = parser.parse_args()
    found = messages(options.commits) if options.commits else []
    if options.file:
        found.append((str(options.file), options.file.read_text(encoding="utf-8")))
    wrong = [f"{name}: {fault}" for name, message in found for fault in faults(message)]
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
