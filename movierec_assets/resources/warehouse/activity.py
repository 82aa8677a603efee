"""What was rated on some days, as it is compared with other days."""

from __future__ import annotations

from typing import Any

import numpy as np

from movierec_assets.monitoring.user_days import Rated
from movierec_assets.resources.warehouse.duckdb_file import DuckDBFile


class Activity(DuckDBFile):
    """Reads validated ratings, which are those of accepted days alone, beside the catalogue."""

    def days_rated(self, until: str) -> list[str]:
        """Days up to `until` with an accepted rating, ascending."""
        rows = self._rows(
            """SELECT DISTINCT day::VARCHAR AS rated FROM validated_ratings
               WHERE day <= CAST(? AS DATE) ORDER BY rated""",
            until,
        )
        return [day for (day,) in rows]

    def rated(self, first: str, last: str) -> Rated:
        """The ratings of the days in [first, last]; what is new is so beside all days before."""
        with self.connect(read_only=True) as connection:
            found: Any = connection.execute(
                """WITH users AS (SELECT user_id, min(day) AS since FROM validated_ratings
                                  GROUP BY user_id),
                        films AS (SELECT movie_id, min(day) AS since FROM validated_ratings
                                  GROUP BY movie_id),
                        known AS (SELECT count(*) > 0 AS any FROM movies)
                   SELECT day, v.user_id, v.movie_id, rating::DOUBLE AS rating,
                          users.since = day AS new_user, films.since = day AS new_movie,
                          m.movie_id IS NULL AND known.any AS outside
                   FROM validated_ratings v JOIN users USING (user_id) JOIN films USING (movie_id)
                   LEFT JOIN movies m USING (movie_id), known
                   WHERE day BETWEEN CAST(? AS DATE) AND CAST(? AS DATE)""",
                [first, last],
            ).fetchnumpy()
            genres = dict(connection.execute("SELECT movie_id, genres FROM movies").fetchall())
        days, day = np.unique(found["day"], return_inverse=True)
        _, user = np.unique(found["user_id"].astype(str), return_inverse=True)
        movies, movie = np.unique(found["movie_id"].astype(str), return_inverse=True)
        names = sorted({name for some in genres.values() for name in some})
        has = [[name in genres.get(one, ()) for name in names] for one in movies.tolist()]
        return Rated(
            days=[str(one)[:10] for one in days],
            day=day,
            user=user,
            movie=movie,
            stars=found["rating"],
            new_user=found["new_user"].astype(bool),
            new_movie=found["new_movie"].astype(bool),
            outside=found["outside"].astype(bool),
            genres=names,
            has_genre=np.array(has, bool).reshape(len(movies), len(names)),
        )
