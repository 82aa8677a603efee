"""The ledger of chunks and the rows that they brought: raw, validated, rejected."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd

from movierec_assets.ratings.ledger import DEFAULT_SOURCE, Chunk, DaySummary
from movierec_assets.resources.warehouse.duckdb_file import ACCEPTED, EVER, DuckDBFile, since

_ROWS = ("raw_ratings", "rejected_ratings")  # tables that hold a chunk's rows under its sha256


class Ledger(DuckDBFile):
    """Each delivered chunk with its verdict, and the rows of those that count or were just judged.

    A chunk is loaded, then judged. Accepted, it takes the place of the one before; refused, it
    leaves that one current, and its own rows are kept beside it until the next chunk of its day and
    source comes.
    """

    def chunks(self, days: Sequence[str] | None = None) -> dict[str, list[Chunk]]:
        """The ledger's rows by day, in order of arrival; of these days if given."""
        rows = self._rows(
            """SELECT day::VARCHAR, source, sha256, file, declaration, current, verdict, reason,
                      schema_version, data_version, max_rejected_share, rows, validated, rejected,
                      superseded, late, mended::VARCHAR
               FROM chunks WHERE ? IS NULL OR list_contains(CAST(? AS DATE[]), day)
               ORDER BY chunks.day, received_at""",
            days,
            days,
        )
        by_day: dict[str, list[Chunk]] = {}
        for *row, mended in rows:
            by_day.setdefault(row[0], []).append(Chunk(*[*row, json.loads(mended)]))
        return by_day

    def refused(self, *, unreadable: bool) -> dict[str, str]:
        """Reason by day, of all days that have a source whose newest chunk was refused.

        Args:
            unreadable: those that could not be read, else those with too many rejected rows.
        """
        rows = self._rows(
            """SELECT day::VARCHAR, string_agg(
                   CASE WHEN source = ? THEN '' ELSE source || ': ' END || reason
                   || CASE WHEN kept IS NULL THEN ''
                      ELSE '; the chunk accepted before, ' || kept[:12] || ', stays current' END,
                   '; ' ORDER BY source)
               FROM (SELECT *, received_at = max(received_at) OVER same AS newest,
                            max(CASE WHEN current THEN sha256 END) OVER same AS kept
                     FROM chunks WINDOW same AS (PARTITION BY day, source)) c
               WHERE newest AND verdict = 'refused' AND (schema_version IS NULL) = ?
               GROUP BY c.day ORDER BY c.day""",
            DEFAULT_SOURCE,
            unreadable,
        )
        return dict(rows)

    def load_chunk(
        self,
        day: str,
        sha256: str,
        file: str,
        rows: pd.DataFrame,
        source: str = DEFAULT_SOURCE,
        declaration: str | None = None,
    ) -> None:
        """Enter a chunk and its rows (as delivered), to be judged; what is current stays so."""
        with self.connect() as connection:
            # Also of these bytes: what their source declares has changed, they are judged anew.
            connection.execute(
                "UPDATE chunks SET current = false WHERE day = ? AND source = ? AND sha256 = ?",
                [day, source, sha256],
            )
            self._drop_rows(day, source)
            connection.execute(
                """INSERT INTO raw_ratings BY NAME
                   SELECT CAST(? AS DATE) AS day, ? AS source, ? AS sha256, ? AS file, record,
                          user_id, movie_id, rating, "timestamp"
                   FROM rows""",
                [day, source, sha256, file],
            )
            self._enter(day, source, sha256, file, len(rows), declaration=declaration)

    def touch_chunk(self, day: str, sha256: str, source: str = DEFAULT_SOURCE) -> None:
        """Make the current chunk the newest delivery of its day again."""
        sql = "UPDATE chunks SET received_at = ? WHERE day = ? AND source = ? AND sha256 = ?"
        with self.connect() as connection:
            self._drop_rows(day, source)
            connection.execute(sql, [_now(), day, source, sha256])

    def refuse_chunk(
        self, day: str, sha256: str, file: str, reason: str, source: str = DEFAULT_SOURCE
    ) -> None:
        """Enter a chunk that cannot be parsed; what was current stays so."""
        with self.connect():
            self._drop_rows(day, source)
            self._enter(day, source, sha256, file, 0, verdict="refused", reason=reason)

    def ratings_of_chunk(self, day: str, source: str) -> list[tuple[str, str, float]]:
        """(user, movie, stars) of the accepted ratings of a source's chunk."""
        return self._rows(
            "SELECT user_id, movie_id, rating FROM validated_ratings WHERE day = ? AND source = ?",
            day,
            source,
        )

    def summaries(self, days: Sequence[str]) -> dict[str, DaySummary]:
        """What the validated and rejected ratings of each day look like."""
        with self.connect(read_only=True) as connection:
            connection.execute(
                "CREATE TEMP TABLE asked AS SELECT unnest(CAST(? AS DATE[])) AS day", [days]
            )
            facts = connection.execute(
                """SELECT day::VARCHAR, count(DISTINCT user_id), count(DISTINCT movie_id),
                          count(*) - count(m.movie_id), avg(rating)
                   FROM validated_ratings v SEMI JOIN asked USING (day)
                   LEFT JOIN movies m USING (movie_id)
                   GROUP BY v.day"""
            ).fetchall()
            stars = connection.execute(
                """SELECT day::VARCHAR, rating, count(*)
                   FROM validated_ratings v SEMI JOIN asked USING (day)
                   GROUP BY v.day, rating ORDER BY rating"""
            ).fetchall()
            reasons = connection.execute(
                """SELECT day::VARCHAR, reason, count(*)
                   FROM (SELECT day, unnest(reasons) AS reason
                         FROM rejected_ratings SEMI JOIN asked USING (day)) r
                   GROUP BY r.day, reason ORDER BY count(*) DESC, reason"""
            ).fetchall()
        by_day = {day: DaySummary() for day in days}
        by_day |= {row[0]: DaySummary(*row[1:]) for row in facts}
        for day, star, count in stars:
            by_day[day].stars[star] = count
        for day, reason, count in reasons:
            by_day[day].reasons[reason] = count
        return by_day

    # -- what a model is trained on ----------------------------------------------------------------

    def days_without_verdict(
        self, delivered: list[str], until: str, window_days: int | None
    ) -> list[str]:
        """Delivered days in (until - window, until] that have not been judged: no model may be
        trained yet.

        Args:
            delivered: days with a file in the landing zone, ingested or not.
        """
        rows = self._rows(
            """SELECT day::VARCHAR FROM (
                   SELECT day FROM chunks WHERE verdict IS NULL
                   UNION
                   (SELECT unnest(CAST(? AS DATE[])) EXCEPT SELECT day FROM chunks)
               ) AS unjudged(day)
               WHERE day > CAST(? AS DATE) AND day <= CAST(? AS DATE) ORDER BY unjudged.day""",
            delivered,
            since(until, window_days),
            until,
        )
        return [day for (day,) in rows]

    def days_accepted(self, until: str = EVER) -> list[str]:
        """Days up to `until` with an accepted rating, each once, ascending."""
        return list(dict.fromkeys(day for day, _ in self.partitions(until)))

    def partitions(
        self, until: str = EVER, window_days: int | None = None
    ) -> list[tuple[str, str]]:
        """(day, data version) of each accepted chunk with ratings in (until - window, until]."""
        return self._rows(
            f"""SELECT day::VARCHAR, data_version FROM chunks
                WHERE {ACCEPTED} AND validated > 0 ORDER BY chunks.day, source""",
            since(until, window_days),
            until,
        )

    def _drop_rows(self, day: str, source: str) -> None:
        """Let go of the rows of all chunks but the current one."""
        with self.connect() as connection:
            for table in _ROWS:
                connection.execute(
                    f"""DELETE FROM {table} WHERE day = ? AND source = ? AND sha256 NOT IN (
                            SELECT sha256 FROM chunks WHERE day = ? AND source = ? AND current)""",
                    [day, source, day, source],
                )

    def _enter(
        self,
        day: str,
        source: str,
        sha256: str,
        file: str,
        rows: int,
        *,
        declaration: str | None = None,
        verdict: str | None = None,
        reason: str | None = None,
    ) -> None:
        """One row of the ledger, not current, in place of the one with its key."""
        with self.connect() as connection:
            connection.execute(
                """INSERT OR REPLACE INTO chunks
                   (day, source, sha256, file, declaration, received_at, current, verdict, reason,
                    rows)
                   VALUES (?, ?, ?, ?, ?, ?, false, ?, ?, ?)""",
                [day, source, sha256, file, declaration, _now(), verdict, reason, rows],
            )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
