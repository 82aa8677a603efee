"""The warehouse: the ledger of chunks, the ratings of each day, the model of each day."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd

from movierec_assets.monitoring.prequential import Score
from movierec_assets.ratings.interactions import Interactions, latest
from movierec_assets.ratings.ledger import Chunk, DaySummary, Judgement
from movierec_assets.ratings.schema import SCHEMA_VERSION
from movierec_assets.resources.warehouse.duckdb_file import DuckDBFile
from movierec_assets.training.identity import DayModel

COLUMNS_OF_ENTRY = "(day, sha256, file, received_at, current, verdict, reason, rows)"


class Warehouse(DuckDBFile):
    """Tables of ratings, partitioned by UTC day, in one DuckDB file."""

    # -- the ledger -------------------------------------------------------------------------------

    def chunks(self, days: Sequence[str] | None = None) -> dict[str, list[Chunk]]:
        """The ledger's rows by day, in order of arrival; of these days if given."""
        rows = self._rows(
            """SELECT day::VARCHAR, sha256, file, current, verdict, reason, schema_version,
              max_rejected_share,
                      rows, validated, rejected, superseded, late
               FROM chunks WHERE ? IS NULL OR list_contains(CAST(? AS DATE[]), day)
               ORDER BY chunks.day, received_at""",
            days,
            days,
        )
        found: dict[str, list[Chunk]] = {}
        for row in rows:
            found.setdefault(row[0], []).append(Chunk(*row))
        return found

    def refused(self, *, unreadable: bool) -> dict[str, str]:
        """Reason by day, of all days: those whose newest chunk could not be read, or whose current
        one was refused.
        """
        which = "NOT current" if unreadable else "current"
        rows = self._rows(
            f"""SELECT day::VARCHAR, reason FROM (
                    SELECT *, received_at = max(received_at) OVER (PARTITION BY day) AS newest
                      FROM chunks) c
                WHERE verdict = 'refused' AND {which} AND (newest OR current) ORDER BY c.day"""
        )
        return dict(rows)

    def load_chunk(self, day: str, sha256: str, file: str, rows: pd.DataFrame) -> None:
        """Make `rows` (as delivered) the day's raw ratings, and this chunk the current one, not yet
        judged.
        """
        with self.connect() as connection:
            for table in ("raw_ratings", "validated_ratings", "rejected_ratings"):
                connection.execute(f"DELETE FROM {table} WHERE day = ?", [day])
            connection.execute(
                """INSERT INTO raw_ratings
                   SELECT CAST(? AS DATE), record, ?, user_id, movie_id, rating, "timestamp" FROM
                     rows""",
                [day, file],
            )
            connection.execute("UPDATE chunks SET current = false WHERE day = ? AND current", [day])
            self._put(
                f"chunks {COLUMNS_OF_ENTRY}", day, sha256, file, _now(), True, None, None, len(rows)
            )

    def touch_chunk(self, day: str, sha256: str) -> None:
        """Make a known chunk the newest delivery of its day."""
        sql = "UPDATE chunks SET received_at = ? WHERE day = ? AND sha256 = ?"
        with self.connect() as connection:
            connection.execute(sql, [_now(), day, sha256])

    def refuse_chunk(self, day: str, sha256: str, file: str, reason: str) -> None:
        """Enter a chunk that cannot be parsed; what was current stays so."""
        self._put(
            f"chunks {COLUMNS_OF_ENTRY}", day, sha256, file, _now(), False, "refused", reason, 0
        )

    def judge(self, day: str, judge: Callable[[pd.DataFrame], Judgement]) -> None:
        """Validate the day's current chunk and store outcome and verdict, in one transaction.

        Args:
            judge: takes the records as delivered: record, user_id, movie_id, rating, timestamp
                (text).
        """
        with self.connect() as connection:
            raw = connection.execute(
                'SELECT record, user_id, movie_id, rating, "timestamp" FROM raw_ratings WHERE day '
                "= ? ORDER BY record",
                [day],
            ).df()
            judgement = judge(raw)
            outcome = judgement.outcome
            for table, frame, columns in (
                ("validated_ratings", outcome.valid, "rating, rated_at"),
                ("rejected_ratings", outcome.rejected, 'rating, "timestamp", reasons'),
            ):
                connection.execute(f"DELETE FROM {table} WHERE day = ?", [day])
                if len(frame):
                    connection.register("judged", frame)
                    chosen = (
                        f"SELECT CAST(? AS DATE), record, user_id, movie_id, {columns} FROM judged"
                    )
                    connection.execute(f"INSERT INTO {table} {chosen}", [day])
            connection.execute(
                """UPDATE chunks SET verdict = ?, reason = ?, schema_version = ?,
                  max_rejected_share = ?,
                          validated = ?, rejected = ?, superseded = ?, late = ? WHERE day = ? AND
                            current""",
                [
                    judgement.verdict,
                    judgement.reason,
                    SCHEMA_VERSION,
                    judgement.max_rejected_share,
                    len(outcome.valid),
                    len(outcome.rejected),
                    outcome.superseded,
                    outcome.late,
                    day,
                ],
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
                   FROM validated_ratings v SEMI JOIN asked USING (day) LEFT JOIN movies m USING
                     (movie_id)
                   GROUP BY v.day"""
            ).fetchall()
            stars = connection.execute(
                """SELECT day::VARCHAR, rating, count(*) FROM validated_ratings v SEMI JOIN asked
                  USING (day)
                   GROUP BY v.day, rating ORDER BY rating"""
            ).fetchall()
            reasons = connection.execute(
                """SELECT day::VARCHAR, reason, count(*) FROM (
                       SELECT day, unnest(reasons) AS reason FROM rejected_ratings SEMI JOIN asked
                         USING (day)) r
                   GROUP BY r.day, reason ORDER BY count(*) DESC, reason"""
            ).fetchall()
        found = {day: DaySummary() for day in days}
        found |= {row[0]: DaySummary(*row[1:]) for row in facts}
        for day, star, count in stars:
            found[day].stars[star] = count
        for day, reason, count in reasons:
            found[day].reasons[reason] = count
        return found

    # -- the catalogue -----------------------------------------------------------------------------

    def replace_movies(self, movies: pd.DataFrame) -> None:
        """Make `movies` (movie_id, title, year, genres) the whole catalogue."""
        with self.connect() as connection:
            connection.execute("DELETE FROM movies")
            connection.register("delivered", movies)
            connection.execute(
                "INSERT INTO movies SELECT movie_id, title, year, genres FROM delivered"
            )

    def movies(self) -> list[tuple[str, str, list[str]]]:
        """(movie_id, title, genres) of the catalogue."""
        return self._rows("SELECT movie_id, title, genres FROM movies")

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
                   SELECT day FROM chunks WHERE current AND verdict IS NULL
                   UNION (SELECT unnest(CAST(? AS DATE[])) EXCEPT SELECT day FROM chunks)) AS
                     unjudged(day)
               WHERE day > CAST(? AS DATE) AND day <= CAST(? AS DATE) ORDER BY unjudged.day""",
            delivered,
            _since(until, window_days),
            until,
        )
        return [day for (day,) in rows]

    def days_without_model(self, until: str) -> list[str]:
        """Judged days before `until` that have no model, back to the newest one of the month that
        does.

        None if the month has no model yet: a chain may begin on any day.
        """
        rows = self._rows(
            """SELECT DISTINCT day::VARCHAR AS judged FROM chunks ANTI JOIN als_model USING (day)
               WHERE day < CAST($1 AS DATE) AND day > (
                   SELECT max(day) FROM als_model
                   WHERE day < CAST($1 AS DATE) AND day >= date_trunc('month', CAST($1 AS DATE)))
               ORDER BY judged""",
            until,
        )
        return [day for (day,) in rows]

    def partitions(self, until: str, window_days: int | None) -> list[tuple[str, str]]:
        """(day, data version) of each accepted day with ratings in (until - window, until]."""
        return self._rows(
            """SELECT day::VARCHAR, sha256 || '/' || schema_version FROM chunks
               WHERE current AND verdict = 'accepted' AND validated > 0
                 AND day > CAST(? AS DATE) AND day <= CAST(? AS DATE)
               ORDER BY chunks.day""",
            _since(until, window_days),
            until,
        )

    def interactions(self, until: str, window_days: int | None) -> Interactions:
        """Each (user, movie) once, with its latest accepted rating in (until - window, until]."""
        with self.connect(read_only=True) as connection:
            connection.execute(
                """CREATE TEMP TABLE accepted AS SELECT day FROM chunks
                   WHERE current AND verdict = 'accepted' AND day > CAST(? AS DATE) AND day <=
                     CAST(? AS DATE)""",
                [_since(until, window_days), until],
            )
            ids: list[Any] = []
            for key in (
                "user_id",
                "movie_id",
            ):  # row_number over ids sorted by their bytes: the dense rows
                connection.execute(
                    f"""CREATE TEMP TABLE {key}s AS
                        SELECT {key}, (row_number() OVER (ORDER BY {key}) - 1)::INTEGER AS dense
                        FROM (SELECT DISTINCT {key} FROM validated_ratings SEMI JOIN accepted
                          USING (day))"""
                )
                found = connection.execute(f"SELECT {key} FROM {key}s ORDER BY dense").fetchnumpy()
                ids.append(tuple(found[key]))
            rows: Any = connection.execute(
                """SELECT u.dense AS "user", m.dense AS movie, rating, day, record,
                          epoch_us(rated_at) // 1000000 AS rated_at
                   FROM validated_ratings SEMI JOIN accepted USING (day)
                   JOIN user_ids u USING (user_id) JOIN movie_ids m USING (movie_id)"""
            ).fetchnumpy()
        return latest(ids[0], ids[1], rows)

    # -- models ------------------------------------------------------------------------------------

    def models(self, days: Sequence[str] | None = None) -> dict[str, DayModel]:
        """The model of each day, oldest first; of these days if given. A day for which none was
        trained is absent.
        """
        rows = self._rows(
            """SELECT day::VARCHAR, identity, parent, fit, data_until::VARCHAR, partitions_digest,
              metrics::VARCHAR
               FROM als_model WHERE ? IS NULL OR list_contains(CAST(? AS DATE[]), day) ORDER BY
                 als_model.day""",
            days,
            days,
        )
        return {row[0]: DayModel(*[*row[:6], json.loads(row[6])]) for row in rows}

    def record_model(self, model: DayModel) -> None:
        """Make `model` the day's."""
        self._put("als_model", *list(astuple(model))[:-1], _json(model.metrics))

    def tuned(self, settings: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """(day, parameters) of each set that passed the gate and was found from these settings,
        newest first.
        """
        rows = self._rows(
            """SELECT t.day::VARCHAR, parameters::VARCHAR FROM tuned_parameters t
               WHERE verdict = 'passed' AND settings::VARCHAR = ? ORDER BY t.day DESC, version
                 DESC""",
            _json(settings),
        )
        return [(day, json.loads(parameters)) for day, parameters in rows]

    def record_tuned(
        self,
        model: DayModel,
        version: int,
        settings: Mapping[str, Any],
        parameters: Mapping[str, Any],
        verdict: str,
    ) -> None:
        """Record a proposed set and what the gate said to it; one that passed makes `model` the
        day's.
        """
        given = (
            model.identity,
            version,
            model.day,
            model.partitions_digest,
            _json(settings),
            _json(parameters),
        )
        with self.connect():
            self._put("tuned_parameters", *given, verdict)
            if verdict == "passed":
                self.record_model(model)

    # -- the test by the next day ------------------------------------------------------------------

    def record_score(self, score: Score) -> None:
        """Make `score` the day's."""
        self._put("prequential_evaluation", *astuple(score))

    def scores(self, until: str) -> list[Score]:
        """Of each evaluated day up to `until`, oldest first."""
        rows = self._rows(
            """SELECT day::VARCHAR, * EXCLUDE (day) FROM prequential_evaluation
               WHERE day <= CAST(? AS DATE) ORDER BY prequential_evaluation.day""",
            until,
        )
        return [Score(*row) for row in rows]

    def replace_served(self, version: int, served: pd.DataFrame) -> None:
        """Make one version's recommendations (user_id, rank, movie_id, score) the content of
        `served_model`.
        """
        with self.connect() as connection:
            connection.execute("DELETE FROM served_model")
            connection.register("served", served.assign(version=version))
            connection.execute("INSERT INTO served_model BY NAME SELECT * FROM served")

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.connect(read_only=True) as connection:
            return connection.execute(sql, values).fetchall()

    def _put(self, table: str, *values: Any) -> None:
        """One row, in place of the one with its key."""
        with self.connect() as connection:
            connection.execute(
                f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(values))})", values
            )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True)


def _since(until: str, window_days: int | None) -> str:
    """The last day before the window that ends with `until`."""
    if window_days is None:
        return "0001-01-01"
    return (date.fromisoformat(until) - timedelta(days=window_days)).isoformat()
