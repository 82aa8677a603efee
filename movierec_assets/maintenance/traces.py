"""Where a user's id is written, in any file: found as a word of its own, and masked.

An id such as `u1` must not be found in `u17`. An id of digits alone cannot be told from a count or
a time, so in free text it counts only in quotation marks, or after the word `user`.
"""

from __future__ import annotations

import json
import re
from functools import cached_property

from movierec_assets.ratings.ids import mend

MASK = "[forgotten]"
_WORD = r"[A-Za-z0-9_\-]"  # what an id in a text may go on with


class Traces:
    """The ways in which one id is written, as patterns."""

    def __init__(self, user_id: str) -> None:
        self._id = user_id
        self._forms = sorted({user_id, json.dumps(user_id)[1:-1]})  # JSON escapes what is not ASCII

    @property
    def distinctive(self) -> bool:
        """Whether the id can be told from a number wherever it stands."""
        return not self._id.strip("-.").replace(".", "").isdigit()

    @cached_property
    def _text(self) -> re.Pattern[str]:
        forms = "|".join(map(re.escape, self._forms))
        if self.distinctive:
            return re.compile(f"(?<!{_WORD})(?:{forms})(?!{_WORD})")
        quoted = rf"""(?<=["'])(?:{forms})(?=\\?["'])"""
        named = rf"(?:(?<=user )|(?<=user_id=)|(?<=user_id )|(?<=user: ))(?:{forms})(?!{_WORD})"
        return re.compile(f"{quoted}|{named}")

    @cached_property
    def _bytes(self) -> re.Pattern[bytes]:
        wide = [self._id.encode(code) for code in ("utf-16-le", "utf-16-be")]
        whole = self._text.pattern.encode()
        forms = b"|".join([whole, *map(re.escape, wide)] if self.distinctive else [whole])
        return re.compile(forms)

    def in_bytes(self, content: bytes) -> bool:
        """Whether a file's bytes hold the id, in UTF-8, UTF-16, or as JSON escapes it."""
        return self._bytes.search(content) is not None

    def may_be_in(self, content: bytes) -> bool:
        """Whether the id's bytes occur at all, also within longer words: a database's pages put
        texts side by side.
        """
        return any(form.encode() in content for form in self._forms)

    def masked(self, text: str) -> str:
        """The text with each place masked; JSON stays JSON."""
        return self._text.sub(MASK, text)

    def without_lines(self, content: bytes) -> bytes:
        """A log or JSON lines without those that name the user."""
        lines = content.splitlines(keepends=True)
        return b"".join(line for line in lines if not self.in_bytes(line))


def same_id(written: str, user_id: str) -> bool:
    """Whether a delivered field is this id, also with blanks or signs that nobody sees around it,
    or as `12.0`.
    """
    plain = "".join(sign for sign in written if sign.isprintable()).strip()
    return plain == user_id or mend(plain)[0] == mend(user_id)[0]
