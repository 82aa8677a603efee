"""The one form in which ids are kept: the same for ratings, the catalogue and every format.

An id is opaque text. What nobody sees (blanks around it, characters of no width, the Unicode form)
is mended, and so are the decimals that spreadsheets and Parquet give whole numbers: `42.0` is `42`.
Each is a rule about one id alone, so that a day of one row and the catalogue come to the same id.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import pandas as pd

# Written for a value that is missing, by SQL and its tools, NumPy, Python, pandas, R, JavaScript,
# Ruby, Excel and Hive; or for a number that is none.
NULLS = (
    *("NULL", "Null", "null", "NaN", "nan", "NAN", "None", "none", "NONE", "<NA>", "NA", "N/A"),
    *("n/a", "NaT", "undefined", r"\N", "nil", "(null)", "<null>", "[NULL]", "#N/A", "#NULL!"),
    *("inf", "-inf", "Infinity", "-Infinity"),
)
_BLANKS = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f"
_BLANKS += "\u205f\u3000"  # category Zs; a tab is a control character, which is rejected
_JOINERS = "\u200c\u200d"  # within Persian words and emoji they mean something, at an end nothing
_NO_WIDTH = re.compile(
    "[\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
    f"|^[{_JOINERS}]+|[{_JOINERS}]+$"
)
_WHOLE = re.compile(r"\A([0-9]+)\.0+\Z")
_RULES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("no width", lambda text: _NO_WIDTH.sub("", text)),
    ("blanks", lambda text: text.strip(_BLANKS)),
    ("Unicode form", lambda text: unicodedata.normalize("NFC", text)),
    ("decimals", lambda text: _WHOLE.sub(r"\1", text)),
)


@lru_cache(maxsize=1 << 16)
def mend(text: str) -> tuple[str, tuple[str, ...]]:
    """The id that is meant, and what was mended: `no width`, `blanks`, `Unicode form`, `decimals`.

    The id that is returned is its own: nothing of it is mended again.
    """
    if text.isascii() and text.isalnum():
        return text, ()
    kinds: list[str] = []
    before = None
    while text != before:
        before = text
        for kind, rule in _RULES:
            if (after := rule(text)) != text:
                text = after
                if kind not in kinds:
                    kinds.append(kind)
    return text, tuple(kinds)


def mend_all(ids: pd.Series[str]) -> tuple[pd.Series[str], Mapping[str, int]]:
    """`mend` for a column: the ids (object), and how many rows each kind of mending touched."""
    codes, unique = pd.factorize(ids.to_numpy(object))
    mended = [mend(text) for text in unique]
    if not any(kinds for _, kinds in mended):
        return ids, {}
    rows = np.bincount(codes, minlength=len(unique))
    counts = Counter[str]()
    for (_, kinds), count in zip(mended, rows.tolist(), strict=True):
        counts.update(dict.fromkeys(kinds, count))
    kept = np.array([text for text, _ in mended], dtype=object)[codes]
    return pd.Series(kept, index=ids.index, dtype=object), counts
