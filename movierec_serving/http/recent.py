"""A user who did something that the model does not know: their evidence, and what they saw."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle import Bundle, Evidence, Ranked
from movierec_serving.events import Said


@dataclass(frozen=True, eq=False)
class Recent:
    """`row` is None for one whom the model does not know; `seen` are the item rows that their
    lists leave out; `lists` are rankings that were made before, where nothing else is left out.
    """

    row: int | None
    evidence: Evidence
    seen: NDArray[np.int64]
    lists: dict[tuple[int, int], Ranked] = field(default_factory=dict)

    @classmethod
    def of(cls, bundle: Bundle, user_id: str, said: Said) -> Self:
        """Movies that the bundle does not know change nothing. It is made once of what was said."""
        made = said.made.get("recent")
        if not isinstance(made, cls) or made.evidence.model is not bundle:
            made = said.made["recent"] = cls._made(bundle, user_id, said)
        return made

    @classmethod
    def _made(cls, bundle: Bundle, user_id: str, said: Said) -> Self:
        row = bundle.user_row(user_id)
        rows = bundle.item_rows([*said.stars, *said.hidden, *said.taken_back])
        rated, hidden, back = np.split(rows, np.cumsum([len(said.stars), len(said.hidden)]))
        ratings = {
            item: stars
            for item, stars in zip(rated.tolist(), said.stars.values(), strict=True)
            if item >= 0
        }
        evidence = Evidence.updated(bundle, row, ratings, back)
        seen = np.setdiff1d(bundle.seen(row), back) if row is not None else rows[:0]
        return cls(row, evidence, np.concatenate([seen, hidden[hidden >= 0]]))
