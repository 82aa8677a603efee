"""Titles as people look for them: whatever the case, the accents, and where the article stands."""

import re
import unicodedata
from collections.abc import Collection

ARTICLES = (
    *("the", "a", "an", "le", "la", "les", "l'", "un", "une", "des", "el", "los", "las", "una"),
    *("il", "lo", "gli", "i", "uno", "der", "die", "das", "den", "ein", "eine", "de", "het"),
    *("een", "det", "en", "et", "o", "os", "as", "um", "uma"),
)
# What Unicode does not take apart, and signs that nobody types.
LETTERS = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
    | dict.fromkeys("‘’´`", "'")
    | dict.fromkeys("“”", '"')
    | dict.fromkeys("‐‑–—", "-")
)
_ARTICLE = "|".join(re.escape(article) for article in ARTICLES)
# `Lantern, The (1999)`, and the same in brackets: `City of Lost Children, The (Cité …, La)`
_BEHIND = re.compile(rf"([^()]*[^()\s]), ({_ARTICLE})(?=\s*(?:[()]|$))")
_BEFORE = re.compile(rf"({_ARTICLE})(?:(?<=')|\s+)(?=\S)")


def folded(text: str) -> str:
    """Fold a text: no case, no accents, no doubled blanks."""
    apart = unicodedata.normalize("NFKD", text.casefold()).translate(LETTERS)
    letters = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return " ".join(letters.split())


def searchable(title: str) -> str:
    """What a query is looked for in: the title, with its article in front, and without; a line
    each.
    """
    as_written = folded(title)
    in_front = _BEHIND.sub(lambda match: _with_article(match[2], match[1]), as_written)
    forms = dict.fromkeys([as_written, in_front, _without_article(in_front)])
    return "".join(f"\n{form}" for form in forms)


def needles(query: str) -> Collection[str]:
    """What may stand in a searchable title that a query finds: itself, or a title that begins with
    it but for its article.
    """
    asked = folded(query)
    bare = _without_article(asked)
    return (asked,) if bare == asked else (asked, f"\n{bare}")


def _with_article(article: str, rest: str) -> str:
    return f"{article}{rest}" if article.endswith("'") else f"{article} {rest}"


def _without_article(title: str) -> str:
    return _BEFORE.sub("", title, count=1) if _BEFORE.match(title) else title
