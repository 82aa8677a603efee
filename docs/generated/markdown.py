"""Small pieces of Markdown that all parts are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; a cell's line ends and bars would break it."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(value) for value in line)} |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def sentence(text: str | None) -> str:
    """Write a description as a sentence: a capital, a full stop, one line."""
    text = " ".join((text or "").split())
    if not text:
        return ""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", ":")) else ".")
