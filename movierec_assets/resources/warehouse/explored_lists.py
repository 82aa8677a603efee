"""The lists some places of which were drawn, and what each of them brought by itself."""

from __future__ import annotations

import pandas as pd

from movierec_assets.resources.warehouse.duckdb_file import DuckDBFile
from movierec_assets.resources.warehouse.shown_lists import ACTIONS

# Lists of one user and day are drawn anew each time, so each is one. An action is credited to the
# last of them that showed the movie before it, so that it counts once. Events have whole seconds.
EXPLORED = f"""
    WITH lists AS (
        SELECT *, date_trunc('second', shown_at) AS since FROM recommendation_log
        WHERE user_id IS NOT NULL AND explored IS NOT NULL AND skipped = 0 AND len(movies) > 0
          AND day BETWEEN CAST($first AS DATE) AND CAST($last AS DATE)),
    each_place AS (
        SELECT recommendation_id, user_id, shown_at, since, unnest(movies[:$k]) AS movie_id
        FROM lists),
    places AS (
        SELECT user_id, movie_id, since, max(shown_at) AS shown_at,
               arg_max(recommendation_id, (shown_at, recommendation_id)) AS recommendation_id
        FROM each_place GROUP BY user_id, movie_id, since),
    {ACTIONS},
    taken AS (
        SELECT recommendation_id, a.movie_id, bool_or(taken_up) AS taken_up,
               coalesce(bool_or(liked), false) AS liked,
               coalesce(bool_or(disliked), false) AS disliked
        FROM actions a ASOF JOIN places p
          ON a.user_id = p.user_id AND a.movie_id = p.movie_id AND a.done_at >= p.since
        WHERE a.done_at < p.shown_at + to_days($within) GROUP BY ALL),
    of_list AS (
        SELECT recommendation_id, sum(taken_up::INT) AS taken_up, sum(liked::INT) AS liked,
               sum(disliked::INT) AS disliked, max(taken_up::INT) AS hit
        FROM taken GROUP BY ALL)
    SELECT recommendation_id, user_id, explored, len(movies) AS places,
           least(len(movies), $k) AS shown, 1 AS lists, coalesce(o.taken_up, 0)::INT AS taken_up,
           coalesce(o.liked, 0)::INT AS liked, coalesce(o.disliked, 0)::INT AS disliked,
           coalesce(o.hit, 0)::INT AS hit
    FROM lists LEFT JOIN of_list o USING (recommendation_id) ORDER BY recommendation_id"""


class ExploredLists(DuckDBFile):
    """What `recommendation_log` says of lists with places for new movies."""

    def explored(
        self, first: str, last: str, events: pd.DataFrame, *, within: int, k: int
    ) -> pd.DataFrame:
        """A row for each such list of these days, with what was then done with its first places.

        Args:
            events: (user_id, movie_id, type, value, done_at) since the first day.
            within: days after a list was shown in which an action counts.
            k: places that count.

        Returns:
            recommendation_id, user_id, explored (JSON), places (of the list), shown (of them among
            the first k), lists (1), and of these taken_up, liked, disliked and hit (0 or 1).
        """
        asked = {"first": first, "last": last, "within": within, "k": k}
        return self._frame(EXPLORED, asked, events)
