"""An experiment that a store's endpoints carry out: its arms, and which users are whose.

Plain values, which the pipeline writes and analyses and the endpoint follows.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, ClassVar, Self

from pydantic import Field, PositiveInt, model_validator

from movierec_serving.bundle.documents import Document, Strict
from movierec_serving.bundle.ranking import Ranking

FILE = "experiment"  # in the store
BUCKETS = 10_000  # users are drawn into; a share is a number of them
PRODUCTION, POPULAR = "production", "popular"  # arms that need no version of their own
INTERLEAVED = "interleaved"  # the arm by whose name a list of both arms goes
Shares = Mapping[str, float]  # of the users, by arm
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Arm(Strict):
    """A policy under experiment: production's, popular movies, or a version of its own.

    `ranking` is how its lists are made, where that is otherwise than its version was published.
    """

    name: Name
    version: PositiveInt | None = None
    ranking: Ranking | None = None

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if (self.version is None) != (self.name in (PRODUCTION, POPULAR)):
            raise ValueError(
                f"{self.name}: every arm but {PRODUCTION} and {POPULAR} has a version of its own"
            )
        if self.ranking is not None and self.version is None:
            raise ValueError(f"{self.name}: a ranking is of an arm with a version of its own")
        return self


class Piece(Strict):
    """The buckets from `begin` to before `end`, which are an arm's to the end of the experiment."""

    arm: Name
    begin: int = Field(ge=0, lt=BUCKETS)
    end: int = Field(gt=0, le=BUCKETS)


class Experiment(Document):
    """The arms, the first of them the control, and the buckets of each.

    A user's bucket follows from a hash of the id with the experiment's salt alone: it is the same
    in every process, endpoint and run, and has nothing to do with other experiments. Pieces are
    only ever added, so that a share grows and nobody changes arm.

    Attributes:
        interleave: whether users of either arm get one list, drafted from both arms' rankings.
    """

    FORMATS: ClassVar = (1,)

    name: Name
    salt: str = Field(min_length=8)
    arms: tuple[Arm, ...] = Field(min_length=2)
    pieces: tuple[Piece, ...] = Field(min_length=2)
    # Left out where it is usual, for endpoints that do not know it.
    interleave: bool = Field(False, exclude_if=lambda interleave: not interleave)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise ValueError("two arms have one name")
        if self.interleave and (len(names) != 2 or INTERLEAVED in names):
            raise ValueError(f"two arms can be interleaved, none of them named {INTERLEAVED}")
        if {piece.arm for piece in self.pieces} != set(names):
            raise ValueError("every arm has pieces, and every piece an arm")
        taken = sorted((piece.begin, piece.end) for piece in self.pieces)
        ends = [end for pair in taken for end in pair]
        if any(begin >= end for begin, end in taken) or ends != sorted(ends):
            raise ValueError("a bucket has two arms, or a piece none")
        return self

    @classmethod
    def of(
        cls, name: str, salt: str, arms: Sequence[Arm], shares: Shares, interleave: bool = False
    ) -> "Experiment":
        """An experiment that gives each arm its share of the users, from the first bucket on.

        Raises:
            ValueError: the shares are more than all users, or one is less than a bucket.
        """
        pieces = _pieces(shares, [])
        return cls(
            format_version=cls.FORMATS[-1],
            name=name,
            salt=salt,
            arms=tuple(arms),
            pieces=tuple(pieces),
            interleave=interleave,
        )

    @property
    def shares(self) -> dict[str, float]:
        """The share of the users that each arm has; of the rest none takes part."""
        buckets = {arm.name: 0 for arm in self.arms}
        for piece in self.pieces:
            buckets[piece.arm] += piece.end - piece.begin
        return {name: number / BUCKETS for name, number in buckets.items()}

    def grown(self, shares: Shares) -> "Experiment":
        """Give arms larger shares; whoever has an arm keeps it.

        Raises:
            ValueError: a share became smaller, or they are more than all users.
        """
        before = self.shares
        more = {name: shares[name] - before[name] for name in before}
        if min(more.values()) < -0.5 / BUCKETS:
            raise ValueError("a share can grow and not shrink: users would change arm")
        added = _pieces({name: by for name, by in more.items() if by > 0.5 / BUCKETS}, self.pieces)
        return self.model_copy(update={"pieces": (*self.pieces, *added)})

    def keeps(self, before: "Experiment") -> bool:
        """Whether everybody whom `before` gave an arm has the same here."""
        alike = (self.salt, self.interleave) == (before.salt, before.interleave)
        return alike and self.pieces[: len(before.pieces)] == before.pieces

    def with_versions(self, versions: Mapping[str, int]) -> "Experiment":
        """Replace the versions of the arms that are named."""
        arms = [
            arm.model_copy(update={"version": versions.get(arm.name, arm.version)})
            for arm in self.arms
        ]
        return self.model_copy(update={"arms": tuple(arms)})

    def arm_of(self, user_id: str) -> Arm | None:
        """The user's arm; None for whoever takes no part."""
        return self._arm_by_bucket[self.bucket(user_id)]

    def bucket(self, user_id: str) -> int:
        key = f"{self.salt}\0{user_id}".encode(errors="surrogatepass")
        return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") % BUCKETS

    @cached_property
    def _arm_by_bucket(self) -> list[Arm | None]:
        arms = {arm.name: arm for arm in self.arms}
        by_bucket: list[Arm | None] = [None] * BUCKETS
        for piece in self.pieces:
            by_bucket[piece.begin : piece.end] = [arms[piece.arm]] * (piece.end - piece.begin)
        return by_bucket


def _pieces(shares: Shares, taken: Sequence[Piece]) -> list[Piece]:
    """Buckets that nobody has yet, for each share."""
    begin = max((piece.end for piece in taken), default=0)
    pieces = []
    for arm, share in shares.items():
        end = begin + round(share * BUCKETS)
        if end == begin or end > BUCKETS:
            raise ValueError(f"{arm}: a share of {share:g} leaves a bucket for nobody, or has none")
        pieces.append(Piece(arm=arm, begin=begin, end=end))
        begin = end
    return pieces
