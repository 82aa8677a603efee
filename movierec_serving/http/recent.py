"""A user who did something that the model does not know: their evidence, and what they saw."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from movierec_serving.bundle import Evidence, PublishedModel, Ranked
from movierec_serving.events import Said


@dataclass(frozen=True, eq=False)
class Recent:
    """`row` is None for one whom the model does not know; `seen` are the rows of the catalogue that
    their lists leave out; `lists` are rankings made before, where nothing else is left out.
    """

    row: int | None
    evidence: Evidence
    seen: NDArray[np.int64]
    lists: dict[tuple[int, int], Ranked] = field(default_factory=dict)

    @classmethod
    def of(cls, model: PublishedModel, user_id: str, said: Said) -> Self:
        """Movies that nobody knows change nothing. It is made once of what was said."""
        made = said.made.get("recent")
        if not isinstance(made, cls) or made.evidence.model is not model.bundle:
            made = said.made["recent"] = cls._made(model, user_id, said)
        return made

    @property
    def seen_items(self) -> NDArray[np.int64]:
        """Those of `seen` that the model knows: they are the first rows of the catalogue."""
        return self.seen[self.seen < len(self.evidence.model.item_ids)]

    @classmethod
    def _made(cls, model: PublishedModel, user_id: str, said: Said) -> Self:
        bundle = model.bundle
        row, rated = model.user_row(user_id), bundle.item_rows([*said.stars, *said.taken_back])
        back = rated[len(said.stars) :]
        ratings = {
            item: stars
            for item, stars in zip(rated.tolist(), said.stars.values(), strict=False)
            if item >= 0
        }
        evidence = Evidence.updated(bundle, row, ratings, back)
        seen = np.setdiff1d(bundle.seen(row), back) if row is not None else rated[:0]
        hidden = model.catalogue.rows([*said.hidden])
        return cls(row, evidence, np.concatenate([seen, hidden]))
