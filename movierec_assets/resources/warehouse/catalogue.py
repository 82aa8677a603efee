"""The catalogue: the movies that one home has ratings of."""

from __future__ import annotations

import pandas as pd

from movierec_assets.resources.warehouse.duckdb_file import DuckDBFile


class Catalogue(DuckDBFile):
    """The table `movies`, replaced as a whole when movies.csv is news."""

    def replace_movies(self, movies: pd.DataFrame) -> None:
        """Make `movies` (movie_id, title, year, genres) the whole catalogue."""
        with self.connect() as connection:
            connection.execute("DELETE FROM movies")
            connection.register("delivered", movies)
            connection.execute("INSERT INTO movies BY NAME SELECT * FROM delivered")

    def movies(self) -> list[tuple[str, str, list[str]]]:
        """(movie_id, title, genres) of the catalogue."""
        return self._rows("SELECT movie_id, title, genres FROM movies")
