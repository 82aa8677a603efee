"""The lists that people were shown, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime

import pandas as pd

from movierec_assets.monitoring.outcomes import Rate
from movierec_assets.resources.warehouse.duckdb_file import EVER, DuckDBFile
from movierec_serving.bundle.experiment import INTERLEAVED

LOG = (  # columns, the day aside
    *("recommendation_id", "user_id", "version", "arm", "arm_failed", "shown_at", "source"),
    *("reason", "skipped", "ms", "movies", "drafted", "explored"),
)
# What `events.shown.Drafted` is, as a type of SQL.
DRAFTED = (
    '[{"arm": "VARCHAR", "version": "BIGINT", "source": "VARCHAR", "reason": "VARCHAR", '
    '"ms": "DOUBLE", "places": ["INTEGER"]}]'
)
NO_ARM = "none"
# A rating of 4 stars or a like says yes, one of 2 or a dislike no; whatever else but a dismissal
# says that the movie was taken up.
ACTIONS = """actions AS (
        SELECT user_id, movie_id, rated_at AS done_at, true AS taken_up, rating >= 4 AS liked,
               rating <= 2 AS disliked
        FROM validated_ratings
        UNION ALL
        SELECT user_id, movie_id, done_at, type NOT IN ('dismiss', 'remove', 'dislike'),
               type = 'like' OR (type = 'rating' AND value >= 4),
               type IN ('dismiss', 'dislike') OR (type = 'rating' AND value <= 2)
        FROM events)"""
# A user's lists of one day by one version, arm and source are one: to look twice is no second list.
JUDGED = f"""
    WITH lists AS (
        SELECT *, coalesce(arm, '{NO_ARM}') AS of_arm FROM recommendation_log
        WHERE user_id IS NOT NULL AND day BETWEEN CAST($first AS DATE) AND CAST($last AS DATE)),
    places AS (
        SELECT day, user_id, version, of_arm, source, shown_at, unnest(movies) AS movie_id,
               generate_subscripts(movies, 1) + skipped AS place
        FROM lists),
    shown AS (
        SELECT day, user_id, version, of_arm, source, movie_id, min(shown_at) AS shown_at
        FROM places WHERE place <= $k GROUP BY ALL),
    {ACTIONS},
    judged AS (
        SELECT s.*, coalesce(bool_or(taken_up), false) AS taken_up,
               coalesce(bool_or(liked), false) AS liked,
               coalesce(bool_or(disliked), false) AS disliked
        FROM shown s LEFT JOIN actions a
          ON a.user_id = s.user_id AND a.movie_id = s.movie_id
         AND a.done_at >= date_trunc('second', s.shown_at)
         AND a.done_at < s.shown_at + to_days($within) AND a.done_at < CAST($last AS DATE) + 1
        GROUP BY ALL)"""
USER_DAYS = f"""{JUDGED},
    of_user AS (
        SELECT day, user_id, version, of_arm AS arm, source, count(*) AS shown,
               sum(taken_up::INT) AS taken_up, sum(liked::INT) AS liked,
               sum(disliked::INT) AS disliked, list(movie_id ORDER BY movie_id) AS movies
        FROM judged GROUP BY ALL),
    rated AS (
        SELECT d.day, d.user_id, count(v.user_id) AS ratings
        FROM (SELECT DISTINCT day, user_id FROM of_user) d
        LEFT JOIN validated_ratings v ON v.user_id = d.user_id AND v.rated_at < d.day
        GROUP BY ALL)
    SELECT o.day::VARCHAR AS day, o.user_id, version::VARCHAR AS version, arm, source,
           CASE WHEN ratings < 20 THEN 'new' WHEN ratings < 100 THEN 'light' ELSE 'heavy'
           END AS segment,
           shown, taken_up, liked, disliked, (taken_up > 0)::INT AS hit,
           lag(movies) OVER of_one IS NOT NULL AS has_earlier,
           coalesce(movies = lag(movies) OVER of_one, false) AS repeated
    FROM of_user o JOIN rated r ON r.day = o.day AND r.user_id = o.user_id
    WINDOW of_one AS (PARTITION BY o.user_id, arm, source ORDER BY o.day)
    ORDER BY o.day, o.user_id, version"""
# A movie is its arm's that showed it first: what a user does meanwhile moves a day's list.
CREDITS = f"""{JUDGED},
    own AS (
        SELECT day, user_id, version, movies[place] AS movie_id, arg_min(its.arm, shown_at) AS side
        FROM lists, unnest(from_json(drafted, '{DRAFTED}')) d(its), unnest(its.places) p(place)
        GROUP BY ALL)
    SELECT j.day::VARCHAR AS day, j.user_id, coalesce(side, 'both') AS side,
           sum(taken_up::INT) AS taken_up, sum(liked::INT) AS liked, sum(disliked::INT) AS disliked
    FROM judged j LEFT JOIN own USING (day, user_id, version, movie_id)
    WHERE of_arm = '{INTERLEAVED}' GROUP BY ALL"""


class ShownLists(DuckDBFile):
    """The tables `recommendation_log` and `recommendation_outcomes`."""

    def record_shown(self, day: str, shown: pd.DataFrame) -> int:
        """Add a day's lists, but those that are there already; how many are new."""
        with self.connect() as connection:
            rows = connection.execute(
                f"""INSERT INTO recommendation_log BY NAME
                    SELECT {", ".join(LOG)}, CAST(? AS DATE) AS day FROM shown
                    ANTI JOIN recommendation_log USING (recommendation_id)""",
                [day],
            ).fetchall()
        return int(rows[0][0])

    def shown(self, recommendation_id: str) -> pd.DataFrame:
        """One list; no row where it is not in the table."""
        sql = f"SELECT {', '.join(LOG)} FROM recommendation_log WHERE recommendation_id = ?"
        return self._frame(sql, [recommendation_id])

    def rated_since(
        self, user_id: str, movies: Sequence[str], since: datetime
    ) -> list[tuple[str, float, datetime]]:
        """(movie, stars, when) of a user's ratings of these movies from then on, oldest first."""
        return self._rows(
            """SELECT movie_id, rating, rated_at FROM validated_ratings
               WHERE user_id = ? AND list_contains(CAST(? AS VARCHAR[]), movie_id)
                 AND rated_at >= date_trunc('second', CAST(? AS TIMESTAMP))
               ORDER BY rated_at""",
            user_id,
            list(movies),
            since,
        )

    def lists_shown(self, day: str) -> int:
        """How many lists of a day are in the table."""
        rows = self._rows(
            "SELECT count(*) FROM recommendation_log WHERE day = CAST(? AS DATE)", day
        )
        return int(rows[0][0])

    def newest_shown(self) -> list[tuple[str, str, int, int]]:
        """(arm, source, lists, users) of the newest day that has lists; nothing before there is
        one.
        """
        return self._rows(
            f"""SELECT coalesce(arm, '{NO_ARM}') AS of_arm, source, count(*),
                       count(DISTINCT user_id)
                FROM recommendation_log
                WHERE day = (SELECT max(day) FROM recommendation_log)
                GROUP BY of_arm, source ORDER BY of_arm, source"""
        )

    def user_days(
        self, first: str, last: str, events: pd.DataFrame, *, within: int, k: int
    ) -> pd.DataFrame:
        """What became of the lists of these days until the end of the last: a row for each user,
        day, version, arm and source.

        Args:
            events: (user_id, movie_id, type, value, done_at) since the first day.
            within: days after a list was shown in which an action counts.
            k: places that count.
        """
        return self._judged(USER_DAYS, first, last, events, within, k)

    def credits(
        self, first: str, last: str, events: pd.DataFrame, *, within: int, k: int
    ) -> pd.DataFrame:
        """(day, user_id, side, taken_up, liked, disliked) of the interleaved lists of these days,
        as `user_days`; the side is the arm whose places they are, or `both`.
        """
        return self._judged(CREDITS, first, last, events, within, k)

    def movies_shown(
        self, first: str, last: str, events: pd.DataFrame, *, within: int, k: int
    ) -> pd.DataFrame:
        """(day, version, arm, source, movies): different movies in the first k places."""
        sql = f"""{JUDGED} SELECT day::VARCHAR AS day, version::VARCHAR AS version, of_arm AS arm,
                  source, list(DISTINCT movie_id) AS movies FROM judged GROUP BY ALL"""
        return self._judged(sql, first, last, events, within, k)

    def forget_shown(self, before: str) -> None:
        """Delete the lists of the days before one; their rates stay."""
        with self.connect() as connection:
            connection.execute(
                "DELETE FROM recommendation_log WHERE day < CAST(? AS DATE)", [before]
            )

    def record_outcomes(self, day: str, until: str, rates: Sequence[Rate]) -> None:
        """Make `rates` all that is known of a day's lists."""
        with self.connect() as connection:
            connection.execute(
                "DELETE FROM recommendation_outcomes WHERE day = CAST(? AS DATE)", [day]
            )
            for rate in rates:
                self._put("recommendation_outcomes", {"day": day, "until": until, **vars(rate)})

    def outcomes(self, until: str = EVER) -> list[tuple[str, Rate]]:
        """(day, rate) of all lists together, of each day up to `until`, oldest first."""
        columns = ", ".join(field.name for field in fields(Rate))
        rows = self._rows(
            f"""SELECT day::VARCHAR, {columns} FROM recommendation_outcomes r
                WHERE dimension = 'all' AND r.day <= CAST(? AS DATE) ORDER BY r.day""",
            until,
        )
        return [(row[0], Rate(*row[1:])) for row in rows]

    def _judged(
        self, sql: str, first: str, last: str, events: pd.DataFrame, within: int, k: int
    ) -> pd.DataFrame:
        asked = {"first": first, "last": last, "within": within, "k": k}
        return self._frame(sql, asked, events)
