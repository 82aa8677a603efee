"""The model of each day and arm, and the parameters that a search found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from movierec_assets.resources.warehouse.duckdb_file import DuckDBFile
from movierec_assets.training.day_model import DayModel

DAY_MODEL_FIELDS = tuple(field.name for field in fields(DayModel))
AS_TEXT = ("day", "data_until", "metrics")  # how these columns are read
DAY_MODEL = ", ".join(
    f"{name}::VARCHAR AS {name}" if name in AS_TEXT else name for name in DAY_MODEL_FIELDS
)


class Models(DuckDBFile):
    """The tables `day_models` and `tuned_parameters`. The models themselves are bundles.

    `arm` is the one whose models are registered and served: what is asked for where none is named.
    """

    arm: str = "als"

    def days_without_model(self, until: str, arm: str | None = None) -> list[str]:
        """Judged days before `until` that have no model, back to the newest one of the month that
        has one; no day where the month has no model yet: a chain may begin on any day.
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
        self._put("day_models", {**vars(model), "metrics": _json(model.metrics)})

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
            self._put("tuned_parameters", row)
            if verdict == "passed":
                self.record_model(model)


def _day_model(row: tuple[Any, ...]) -> DayModel:
    """From the columns of `DAY_MODEL`."""
    named = dict(zip(DAY_MODEL_FIELDS, row, strict=True))
    return DayModel(**{**named, "metrics": json.loads(named["metrics"])})


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True)
