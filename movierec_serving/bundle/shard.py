"""Which users a part of a publication holds, where it is served in parts.

How a publication is cut is `cutting`'s, and who asks which endpoint a router's.
"""

import zlib
from typing import Self

from pydantic import PositiveInt, model_validator

from movierec_serving.bundle.documents import Strict
from movierec_serving.errors import OtherShardError


class Shard(Strict):
    """Part `number`, from 1 on, of `count`; `2/4` for people."""

    number: PositiveInt
    count: PositiveInt

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Read what `str` writes; ValueError for anything else."""
        number, slash, count = text.partition("/")
        if not (slash and number.isdecimal() and count.isdecimal()):
            raise ValueError("must be a part of how many, as 2/4")
        return cls(number=int(number), count=int(count))

    @classmethod
    def all_of(cls, count: int) -> list[Self]:
        """Every part of so many."""
        return [cls(number=number, count=count) for number in range(1, count + 1)]

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.number > self.count:
            raise ValueError(f"there is no part {self.number} of {self.count}")
        return self

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def check(self, user_id: str) -> None:
        """Raise OtherShardError for a user of another part."""
        number = part_of(user_id.encode(errors="surrogatepass"), self.count)
        if number != self.number:
            raise OtherShardError(number, self.count)


def part_of(user_id: bytes, count: int) -> int:
    """The number of a user's part, by the hash of Memcached's clients and of nginx's `hash`: so a
    router needs no table.
    """
    return (zlib.crc32(user_id) >> 16 & 0x7FFF) % count + 1
