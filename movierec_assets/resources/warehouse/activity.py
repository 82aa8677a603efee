"""What was rated on some days, as it is compared with other days."""

from __future__ import annotations

from typing import Any

import numpy as np

from movierec_assets.monitoring.user_days import Rated
from movierec_assets.resources.warehouse.duckdb_file import DuckDBFile


class Activity(DuckDBFile):
    """Reads validated ratings, which are those of accepted days alone, beside the catalogue."""

    def rated(self, first: str, last: str) -> Rated:
        """The ratings of the days in [first, last]; what is new is so beside all days before."""
        with self.connect(read_only=True) as connection:
            for key in ("user", "movie"):  # numbered here: a day's ids are many and long
                connection.execute(
                    f"""CREATE TEMP TABLE first_of_{key} AS
                        SELECT *, (row_number() OVER () - 1)::BIGINT AS number
                        FROM (SELECT {key}_id, min(day) AS since FROM validated_ratings
                              GROUP BY {key}_id)"""
                )
            columns: Any = connection.execute(
                """SELECT day, u.number AS "user", f.number AS movie, rating::DOUBLE AS stars,
                          u.since = day AS new_user, f.since = day AS new_movie
                   FROM validated_ratings JOIN first_of_user u USING (user_id)
                   JOIN first_of_movie f USING (movie_id)
                   WHERE day BETWEEN CAST(? AS DATE) AND CAST(? AS DATE)""",
                [first, last],
            ).fetchnumpy()
            known: Any = connection.execute(
                """SELECT m.movie_id IS NOT NULL AS there FROM first_of_movie
                   LEFT JOIN movies m USING (movie_id) ORDER BY number"""
            ).fetchnumpy()
            of_genre: Any = connection.execute(
                """SELECT number, unnest(genres) AS genre
                   FROM first_of_movie JOIN movies USING (movie_id)"""
            ).fetchnumpy()
            (catalogue,) = connection.execute("SELECT count(*) FROM movies").fetchall()[0]
            connection.execute("DROP TABLE first_of_user; DROP TABLE first_of_movie")
        days, day = np.unique(columns.pop("day"), return_inverse=True)
        names, genre = np.unique(of_genre["genre"].astype(str), return_inverse=True)
        has_genre = np.zeros((len(known["there"]), len(names)), np.bool_)
        has_genre[of_genre["number"], genre] = True
        outside = ~known["there"] & (catalogue > 0)
        return Rated(
            **columns,
            days=[str(day)[:10] for day in days],
            day=day,
            outside=outside[columns["movie"]],
            genres=names.tolist(),
            has_genre=has_genre,
        )
