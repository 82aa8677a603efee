"""Lists drafted from the rankings of two arms, for users of an experiment that interleaves."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from movierec_serving.bundle.drafting import draft
from movierec_serving.events.shown import Drafted
from movierec_serving.http.listing import Listing
from movierec_serving.http.rankings import Ranking, Rankings
from movierec_serving.http.schemas.requests import NewUser


@dataclass(frozen=True, eq=False)
class Drafts:
    """What answers with lists of both arms.

    The coins follow from the user and the version that is production: so a user's pages go on, two
    lists of a day are one draft, and the log has what a draft was made from.

    Args:
        listing: production's, by which lists are stamped and written down.
        sides: the arms', the control's first.
        salt: the experiment's.
    """

    listing: Listing
    sides: Sequence[Listing]
    salt: str

    @property
    def rankings(self) -> Rankings:
        """Production's: the part that is asked for."""
        return self.listing.rankings

    @property
    def versions(self) -> tuple[int, ...]:
        """Each arm's own version; 0 where it has none."""
        arms = [side.arm for side in self.sides]
        return tuple(arm.model.version if arm and arm.model else 0 for arm in arms)

    def for_users(self, asked: Sequence[str | NewUser]) -> list[dict[str, Any]]:
        """One list a user, in their order."""
        ranked, ms = [], []
        for side in self.sides:
            began = time.perf_counter()
            ranked.append(replace(side, rankings=side.rankings.from_first()).ranked(asked))
            ms.append(round(1000 * (time.perf_counter() - began) / len(asked), 3))
        of_users = zip(asked, *ranked, strict=True)
        return [self._drafted(str(user), pair, ms) for user, *pair in of_users]

    def _drafted(self, user: str, pair: Sequence[Ranking], ms: Sequence[float]) -> dict[str, Any]:
        model, part = self.rankings.model, self.rankings.part
        rows = [_rows(side, ranking) for side, ranking in zip(self.sides, pair, strict=True)]
        seed = f"{self.salt}\0{user}\0{model.version}"
        drafted = draft(list(rows[0]), list(rows[1]), part.end, seed)[part.offset :]
        made: dict[str, dict[str, Any]] = {}
        parts: list[Drafted] = []
        for number, (side, ranking) in enumerate(zip(self.sides, pair, strict=True)):
            its = rows[number]
            movies = [its[id_] for id_, own in drafted if own in (number, None) and id_ in its]
            items = side.items(replace(ranking, movies=movies))
            made = {item["movie_id"]: item for item in items} | made  # both's are the control's
            gave: Drafted = {
                "arm": side.arm.name if side.arm else "",
                "version": side.rankings.model.version,
                "source": ranking.source,
                "ms": ms[number],
                "places": [place for place, (_, own) in enumerate(drafted, 1) if own == number],
            }
            if "fallback_reason" in ranking.about:
                gave["reason"] = ranking.about["fallback_reason"]
            parts.append(gave)
        control, other = pair
        about = control.about if "fallback_reason" in other.about else {"user_id": user}
        items = [made[id_] for id_, _ in drafted]
        return self.listing.answered(items, control.source, about, parts)


def _rows(side: Listing, ranking: Ranking) -> dict[str, tuple[int, float]]:
    """Places of a ranking by the movies' ids: two versions have different rows."""
    card = side.rankings.model.card
    return {card(row)["movie_id"]: (row, score) for row, score in ranking.movies}
