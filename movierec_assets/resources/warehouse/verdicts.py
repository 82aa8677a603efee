"""What becomes of a chunk's rows: validated, rejected, and the verdict over the chunk."""

from __future__ import annotations

import json
from collections.abc import Callable

import duckdb
import pandas as pd

from movierec_assets.ratings.ledger import Chunk, Judgement
from movierec_assets.ratings.schema import SCHEMA_VERSION
from movierec_assets.resources.warehouse.ledger import Ledger


class Verdicts(Ledger):
    """The ledger, and the rule's outcome for each chunk, kept in one transaction."""

    def judge(self, chunk: Chunk, rule: Callable[[pd.DataFrame], Judgement]) -> None:
        """Validate a chunk whose rows are held; store outcome and verdict in one transaction.

        Args:
            rule: takes the records as delivered: record, user_id, movie_id, rating, timestamp
                (text).
        """
        key = [chunk.day, chunk.source, chunk.sha256]
        with self.connect() as connection:
            held = connection.sql(
                """SELECT record, user_id, movie_id, rating, "timestamp" FROM raw_ratings
                   WHERE day = ? AND source = ? AND sha256 = ? ORDER BY record""",
                params=key,
            ).to_arrow_table()
            raw = held.to_pandas()  # a text that repeats is there once
            del held
            judgement = rule(raw)
            self._keep_rejected(connection, key, judgement)
            if judgement.verdict == "accepted":
                self._keep_valid(connection, key, judgement)
            elif chunk.current:
                connection.execute(
                    "DELETE FROM validated_ratings WHERE day = ? AND source = ?", key[:2]
                )
            self._enter_verdict(connection, key, judgement)
            if judgement.verdict == "accepted":
                self._drop_rows(chunk.day, chunk.source)  # of whatever is not current

    def _keep_rejected(
        self, connection: duckdb.DuckDBPyConnection, key: list[str], judgement: Judgement
    ) -> None:
        connection.execute(
            "DELETE FROM rejected_ratings WHERE day = ? AND source = ? AND sha256 = ?", key
        )
        rejected = judgement.outcome.rejected
        if len(rejected):
            connection.execute(
                """INSERT INTO rejected_ratings BY NAME
                   SELECT CAST(? AS DATE) AS day, ? AS source, ? AS sha256, * FROM rejected""",
                key,
            )

    def _keep_valid(
        self, connection: duckdb.DuckDBPyConnection, key: list[str], judgement: Judgement
    ) -> None:
        """Put the valid rows in the place of those of the source's chunk before."""
        place = key[:2]
        connection.execute("DELETE FROM validated_ratings WHERE day = ? AND source = ?", place)
        connection.execute("UPDATE chunks SET current = false WHERE day = ? AND source = ?", place)
        valid = judgement.outcome.valid
        if len(valid):
            connection.execute(
                """INSERT INTO validated_ratings BY NAME
                   SELECT CAST(? AS DATE) AS day, ? AS source, * FROM valid""",
                place,
            )

    def _enter_verdict(
        self, connection: duckdb.DuckDBPyConnection, key: list[str], judgement: Judgement
    ) -> None:
        outcome = judgement.outcome
        entered = {
            "current": judgement.verdict == "accepted",
            "verdict": judgement.verdict,
            "reason": judgement.reason,
            "schema_version": SCHEMA_VERSION,
            "data_version": judgement.data_version,
            "max_rejected_share": judgement.max_rejected_share,
            "validated": len(outcome.valid),
            "rejected": len(outcome.rejected),
            "superseded": outcome.superseded,
            "late": outcome.late,
            "mended": json.dumps(outcome.mended),
        }
        columns = ", ".join(f"{name} = ?" for name in entered)
        connection.execute(
            f"UPDATE chunks SET {columns} WHERE day = ? AND source = ? AND sha256 = ?",
            [*entered.values(), *key],
        )
