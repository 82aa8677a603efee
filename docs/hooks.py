"""What MkDocs calls while it builds the site: the reference's parts, the glossary's links, the nav.

Nothing here speaks of the product; the modules of `generated/` do.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from markdown.extensions.toc import slugify

from docs.generated import PARTS

PART = re.compile(r"^\{\{ (\w+) \}\}$", re.M)
GLOSSARY = "glossary.md"
WORDS = re.compile(r"^## (.+)$", re.M)
# What is no running text: code, links, images, HTML.
APART = re.compile(r"(`+[^`]*`+|!?\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])?|<[^>]*>)")
NO_TEXT = ("#", "|", "    ", "```", "![", "title:")
OUTSIDE = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["']?https?:""")


def on_config(config: Any) -> Any:
    """Put every page of a folder where the nav says `folder/*.md`, so that a new one is shown."""
    config.nav = [_expanded(entry, Path(config.docs_dir)) for entry in config.nav]
    return config


def _expanded(entry: Any, docs: Path) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {title: _pages(value, docs) for title, value in entry.items()}


def _pages(value: Any, docs: Path) -> Any:
    if not isinstance(value, list):
        return value
    pages: list[Any] = []
    for entry in value:
        if isinstance(entry, str) and "*" in entry:
            files = sorted(str(path.relative_to(docs)) for path in docs.glob(entry))
            pages += [page for page in files if page not in value]
        else:
            pages.append(_expanded(entry, docs))
    return pages


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill a page's parts in, then link the first use of each word of the glossary."""
    markdown = filled(markdown)
    here = page.file.src_uri
    if here == GLOSSARY or here.startswith("reference/"):
        return markdown
    target = posixpath.relpath(GLOSSARY, posixpath.dirname(here) or ".")
    return link_words(markdown, words(), target)


def filled(markdown: str) -> str:
    """Put the generated parts where a page asks for them."""
    return PART.sub(lambda match: PARTS[match[1]](), markdown)


def words() -> dict[str, str]:
    """Each word of the glossary, in lower case, and the anchor of its heading."""
    text = Path(__file__).with_name(GLOSSARY).read_text(encoding="utf-8")
    return {word.lower(): slugify(word, "-") for word in WORDS.findall(text)}


def link_words(markdown: str, anchors: dict[str, str], target: str) -> str:
    """Link the first use of each word in running text; code, headings, tables, links are left.

    Args:
        markdown: a page.
        anchors: the anchor in the glossary by word, in lower case.
        target: the glossary, as seen from the page.
    """
    waiting = dict(anchors)
    plurals = {re.sub("y$", "ie", word) + "s": word for word in anchors}
    longest_first = sorted({*anchors, *plurals}, key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, longest_first))})(?![\w-])", re.I)

    def link(match: re.Match[str]) -> str:
        word = match[0].lower()
        anchor = waiting.pop(plurals.get(word, word), None)
        return match[0] if anchor is None else f"[{match[0]}]({target}#{anchor})"

    lines, fenced = [], False
    for line in markdown.split("\n"):
        fenced ^= line.lstrip().startswith("```")
        if not fenced and not line.startswith(NO_TEXT):
            pieces = APART.split(line)
            pieces[::2] = [pattern.sub(link, piece) for piece in pieces[::2]]
            line = "".join(pieces)
        lines.append(line)
    return "\n".join(lines)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse a page that would load something from the internet when it is read."""
    if match := OUTSIDE.search(output):
        raise ValueError(f"{page.file.src_uri}: loads from the internet: {match[0]}")
    return output
