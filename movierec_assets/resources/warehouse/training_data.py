"""What a model is trained on: the accepted ratings of a window of days, as a sparse matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from movierec_assets.ratings.interactions import Interactions, latest
from movierec_assets.resources.warehouse.attached import quoted
from movierec_assets.resources.warehouse.duckdb_file import ACCEPTED, DuckDBFile, since


class TrainingData(DuckDBFile):
    """Reads validated ratings of the ledger's current and accepted chunks."""

    def interactions(self, until: str, window_days: int | None) -> Interactions:
        """Each (user, movie) once, with its latest accepted rating in (until - window, until]."""
        with self.connect(read_only=True) as connection:
            # Records are numbered in each chunk: the source's place keeps a day's numbers distinct.
            connection.execute(
                f"""CREATE OR REPLACE TEMP TABLE accepted AS
                    SELECT day, source, (dense_rank() OVER (ORDER BY source) - 1) << 40 AS place
                    FROM chunks WHERE {ACCEPTED}""",
                [since(until, window_days), until],
            )
            ids: list[Any] = []
            for key in ("user_id", "movie_id"):  # numbered in the order of their bytes
                connection.execute(
                    f"""CREATE OR REPLACE TEMP TABLE {key}s AS
                        SELECT {key}, (row_number() OVER (ORDER BY {key}) - 1)::INTEGER AS dense
                        FROM (SELECT DISTINCT {key} FROM validated_ratings
                              SEMI JOIN accepted USING (day, source))"""
                )
                keys = connection.execute(f"SELECT {key} FROM {key}s ORDER BY dense").fetchnumpy()
                ids.append(tuple(keys[key]))
            rows: Any = connection.execute(
                """SELECT u.dense AS "user", m.dense AS movie, rating, day,
                          place + record AS record, epoch_us(rated_at) // 1000000 AS rated_at
                   FROM validated_ratings JOIN accepted USING (day, source)
                   JOIN user_ids u USING (user_id) JOIN movie_ids m USING (movie_id)"""
            ).fetchnumpy()
        return latest(ids[0], ids[1], rows)

    def export_month(self, month: str, path: Path) -> None:
        """Write the accepted ratings of a month (YYYY-MM) as Parquet, by day, source and record."""
        with self.connect(read_only=True) as connection:
            connection.execute(
                f"""COPY (SELECT user_id, movie_id, rating, rated_at, day, source
                          FROM validated_ratings
                          SEMI JOIN (SELECT day, source FROM chunks
                                     WHERE current AND verdict = 'accepted') USING (day, source)
                          WHERE strftime(day, '%Y-%m') = ? ORDER BY day, source, record)
                    TO {quoted(str(path))} (FORMAT parquet, COMPRESSION zstd)""",
                [month],
            )

    def accepted_ratings(self, until: str, window_days: int | None) -> int:
        """How many accepted ratings there are in (until - window, until], by the ledger."""
        sql = f"SELECT coalesce(sum(validated), 0) FROM chunks WHERE {ACCEPTED}"
        return int(self._rows(sql, since(until, window_days), until)[0][0])

    def accepted_pairs(self, until: str, window_days: int | None) -> int:
        """How many pairs of user and movie have an accepted rating in (until - window, until]."""
        rows = self._rows(
            f"""SELECT count(*) FROM (
                    SELECT DISTINCT user_id, movie_id FROM validated_ratings
                    SEMI JOIN (SELECT day, source FROM chunks WHERE {ACCEPTED})
                    USING (day, source))""",
            since(until, window_days),
            until,
        )
        return int(rows[0][0])
