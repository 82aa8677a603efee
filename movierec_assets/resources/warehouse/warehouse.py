"""The warehouse: the catalogue, what a model is trained on, and the model of each day."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from typing import Any

import pandas as pd

from movierec_assets.monitoring.prequential import Score
from movierec_assets.ratings.interactions import Interactions, latest
from movierec_assets.resources.warehouse.ledger import Ledger, since
from movierec_assets.training.day_model import DayModel

DAY_MODEL_FIELDS = tuple(field.name for field in fields(DayModel))
AS_TEXT = ("day", "data_until", "metrics")  # how these columns are read
DAY_MODEL = ", ".join(
    f"{name}::VARCHAR AS {name}" if name in AS_TEXT else name for name in DAY_MODEL_FIELDS
)


class Warehouse(Ledger):
    """All tables of one home, in one DuckDB file: the ledger's, and what is made of ratings.

    `arm` is the one whose models are registered and served: what is asked for where none is named.
    """

    arm: str = "als"

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

    def days_without_model(self, until: str, arm: str | None = None) -> list[str]:
        """Judged days before `until` that have no model, back to the newest one of the month that
        does.

        None if the month has no model yet: a chain may begin on any day.
        """
        rows = self._rows(
            """WITH models AS (SELECT day FROM day_models WHERE arm = $2)
               SELECT DISTINCT day::VARCHAR AS judged FROM chunks ANTI JOIN models USING (day)
               WHERE day < CAST($1 AS DATE) AND day > (
                   SELECT max(day) FROM models
                   WHERE day < CAST($1 AS DATE) AND day >= date_trunc('month', CAST($1 AS DATE)))
               ORDER BY judged""",
            until,
            arm or self.arm,
        )
        return [day for (day,) in rows]

    def interactions(self, until: str, window_days: int | None) -> Interactions:
        """Each (user, movie) once, with its latest accepted rating in (until - window, until]."""
        with self.connect(read_only=True) as connection:
            # Records are numbered in each chunk: the source's place keeps a day's numbers distinct.
            connection.execute(
                """CREATE TEMP TABLE accepted AS
                   SELECT day, source, (dense_rank() OVER (ORDER BY source) - 1) << 40 AS place
                   FROM chunks
                   WHERE current AND verdict = 'accepted'
                     AND day > CAST(? AS DATE) AND day <= CAST(? AS DATE)""",
                [since(until, window_days), until],
            )
            ids: list[Any] = []
            for key in ("user_id", "movie_id"):  # numbered in the order of their bytes
                connection.execute(
                    f"""CREATE TEMP TABLE {key}s AS
                        SELECT {key}, (row_number() OVER (ORDER BY {key}) - 1)::INTEGER AS dense
                        FROM (SELECT DISTINCT {key} FROM validated_ratings
                              SEMI JOIN accepted USING (day, source))"""
                )
                found = connection.execute(f"SELECT {key} FROM {key}s ORDER BY dense").fetchnumpy()
                ids.append(tuple(found[key]))
            rows: Any = connection.execute(
                """SELECT u.dense AS "user", m.dense AS movie, rating, day,
                          place + record AS record, epoch_us(rated_at) // 1000000 AS rated_at
                   FROM validated_ratings JOIN accepted USING (day, source)
                   JOIN user_ids u USING (user_id) JOIN movie_ids m USING (movie_id)"""
            ).fetchnumpy()
        return latest(ids[0], ids[1], rows)

    # -- models ------------------------------------------------------------------------------------

    def models(
        self, days: Sequence[str] | None = None, arm: str | None = None
    ) -> dict[str, DayModel]:
        """The model of each day, oldest first; of these days if given. A day for which none was
        trained is absent.
        """
        rows = self._rows(
            f"""SELECT {DAY_MODEL} FROM day_models
                WHERE arm = ? AND (? IS NULL OR list_contains(CAST(? AS DATE[]), day))
                ORDER BY day_models.day""",
            arm or self.arm,
            days,
            days,
        )
        return {row[0]: _day_model(row) for row in rows}

    def model(self, identity: str) -> DayModel | None:
        """The model of an identity, of whichever arm, as the day that fitted it recorded it."""
        rows = self._rows(
            f"""SELECT {DAY_MODEL} FROM day_models WHERE identity = ?
                ORDER BY day_models.day LIMIT 1""",
            identity,
        )
        return _day_model(rows[0]) if rows else None

    def record_model(self, model: DayModel) -> None:
        """Make `model` the day's, of its arm."""
        self._put_named("day_models", {**vars(model), "metrics": _json(model.metrics)})

    def tuned(
        self, settings: Mapping[str, Any], arm: str | None = None
    ) -> list[tuple[str, dict[str, Any]]]:
        """(day, parameters) of each set that passed the gate and was found from these settings,
        newest first.
        """
        rows = self._rows(
            """SELECT t.day::VARCHAR, parameters::VARCHAR FROM tuned_parameters t
               WHERE verdict = 'passed' AND arm = ? AND settings::VARCHAR = ?
               ORDER BY t.day DESC, version DESC""",
            arm or self.arm,
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
        row = {
            "identity": model.identity,
            "version": version,
            "day": model.day,
            "partitions_digest": model.partitions_digest,
            "settings": _json(settings),
            "parameters": _json(parameters),
            "verdict": verdict,
            "arm": model.arm,
        }
        with self.connect():
            self._put_named("tuned_parameters", row)
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

    def _put_named(self, table: str, row: Mapping[str, Any]) -> None:
        """One row by its columns, in place of the one with its key."""
        self._put(f"{table} ({', '.join(row)})", *row.values())


def _day_model(row: tuple[Any, ...]) -> DayModel:
    """From the columns of `DAY_MODEL`."""
    named = dict(zip(DAY_MODEL_FIELDS, row, strict=True))
    return DayModel(**{**named, "metrics": json.loads(named["metrics"])})


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True)
