"""The warehouse: the catalogue, what a model is trained on, and the model of each day."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

import pandas as pd

from movierec_assets.monitoring.prequential import Score
from movierec_assets.ratings.interactions import Interactions, latest
from movierec_assets.resources.warehouse.ledger import Ledger, since
from movierec_assets.training.identity import DayModel


class Warehouse(Ledger):
    """All tables of one home, in one DuckDB file: the ledger's, and what is made of ratings."""

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


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True)
