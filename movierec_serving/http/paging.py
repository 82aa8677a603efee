"""Page tokens: where a list goes on, in the version that its first page is of.

Pages counted from the beginning of whatever is served now would repeat and skip movies at each
reload. A token is no secret: whoever makes one up gets a list that they could have asked for.
"""

from typing import NamedTuple
from zlib import crc32

import orjson
from pydantic import BaseModel

from movierec_serving.errors import OptionError

TOKEN = r"^[1-9][0-9]{0,17}-[0-9]{1,9}-[0-9a-f]{8}(-[0-9]{1,18}-[0-9]{1,18})?$"  # noqa: S105
PLACE = {"n", "offset", "page", "shown"}  # options that do not say which list is meant


class Place(NamedTuple):
    """Where a page begins.

    Attributes:
        sides: of a list of two arms the version of each, 0 where it has none of its own; empty of
            any other list.
    """

    version: int
    offset: int
    sides: tuple[int, ...] = ()


def question(path: str, options: BaseModel) -> str:
    """What is asked for, whichever page of it: eight hex digits."""
    asked = crc32(path.encode(errors="surrogatepass"))
    if options.model_fields_set - PLACE:
        wishes = options.model_dump(exclude=PLACE, exclude_defaults=True)
        asked = crc32(orjson.dumps(wishes, option=orjson.OPT_SORT_KEYS), asked)
    return f"{asked:08x}"


def token(place: Place, asked: str) -> str:
    return "-".join(map(str, (place.version, place.offset, asked, *place.sides)))


def place_of(page: str | None, asked: str, last: int | None = None) -> Place | None:
    """What a token (of the form of `TOKEN`) says; None for none.

    Args:
        asked: the question of the request that has it.
        last: the largest offset that the list has.

    Raises:
        OptionError: it is of another question, or beyond the list.
    """
    if page is None:
        return None
    version, offset, of, *sides = page.split("-")
    if of != asked:
        text = "is of another list: send the path and the options that its first page was asked by"
        raise OptionError("page", text)
    if last is not None and int(offset) > last:
        raise OptionError("page", f"this list ends at {last}")
    return Place(int(version), int(offset), tuple(map(int, sides)))
