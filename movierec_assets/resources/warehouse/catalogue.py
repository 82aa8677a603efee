"""The catalogue: the movies that one home has ratings of."""

from __future__ import annotations

import json

import pandas as pd

from movierec_assets.ratings.catalogue import Exchange
from movierec_assets.resources.warehouse.duckdb_file import DuckDBFile
from movierec_serving.bundle import Movie


class Catalogue(DuckDBFile):
    """The table `movies`, replaced as a whole when movies.csv is news."""

    def exchange(self, movies: pd.DataFrame) -> Exchange:
        """What it would do to make `movies` the catalogue."""
        kept = set(movies["movie_id"])
        before = [movie_id for movie_id, _, _ in self.movies()]
        return Exchange(len(before), len(kept), sum(movie not in kept for movie in before))

    def rated_outside_catalogue(self) -> int:
        """How many movies have accepted ratings and are not in the catalogue."""
        sql = """SELECT count(DISTINCT movie_id) FROM validated_ratings
                 ANTI JOIN movies USING (movie_id)"""
        return int(self._rows(sql)[0][0])

    def replace_movies(self, delivered: pd.DataFrame) -> None:
        """Make these movies (as of `parse_movies`) the whole catalogue."""
        with self.connect() as connection:
            connection.execute("DELETE FROM movies")
            connection.execute("INSERT INTO movies BY NAME SELECT * FROM delivered")

    def catalogue(self) -> dict[str, Movie]:
        """The movies by id, as they are published."""
        rows = self._rows(
            """SELECT movie_id, title, genres, year, available_from::VARCHAR,
                      available_until::VARCHAR, coalesce(extra::VARCHAR, '{}') FROM movies"""
        )
        return {
            movie_id: Movie(
                movie_id, title, tuple(genres), year, first, last, columns=json.loads(extra)
            )
            for movie_id, title, genres, year, first, last, extra in rows
        }

    def movies(self) -> list[tuple[str, str, list[str]]]:
        """(movie_id, title, genres) of the catalogue."""
        return self._rows("SELECT movie_id, title, genres FROM movies")
