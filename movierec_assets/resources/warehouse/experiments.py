"""Experiments: what was planned, what is carried out, and what each day says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import pandas as pd

from movierec_assets.monitoring.experiments import Look
from movierec_assets.resources.warehouse.duckdb_file import DuckDBFile
from movierec_assets.resources.warehouse.shown_lists import DRAFTED
from movierec_serving.bundle.experiment import Experiment


@dataclass(frozen=True)
class Trial:
    """A row of `experiments`: what is asked, and what the endpoints follow.

    Attributes:
        effect: the least that is worth having, relative to the control's mean.
        days: planned.
        information: at which the intervals are tightest; never changed once users came.
        grown: since when the shares are what they are.
    """

    name: str
    metric: str
    effect: float
    days: int
    information: float
    power: float | None
    reason: str
    started: str
    grown: str
    experiment: Experiment
    ended: str | None = None
    conclusion: str | None = None


COLUMNS = [field.name for field in fields(Trial)]
READ = ", ".join(
    {
        "started": "started::VARCHAR",
        "grown": "grown::VARCHAR",
        "ended": "ended::VARCHAR",
        "experiment": "document::VARCHAR",
    }.get(name, name)
    for name in COLUMNS
)


LISTS_BY_ARM = f"""
    WITH lists AS (
        SELECT * FROM recommendation_log
        WHERE arm IS NOT NULL AND day BETWEEN CAST(? AS DATE) AND CAST(? AS DATE)),
    by_arm AS (
        SELECT arm, reason, arm_failed, ms, NULL AS first FROM lists WHERE drafted IS NULL
        UNION ALL
        SELECT its.arm, its.reason, false, its.ms, CASE WHEN skipped = 0 AND its.places[1]
                   = min(its.places[1]) OVER (PARTITION BY recommendation_id)
               THEN (user_id, version) END
        FROM lists, unnest(from_json(drafted, '{DRAFTED}')) d(its))
    SELECT arm, avg((reason IS NOT NULL)::INT) AS fallbacks, avg(arm_failed::INT) AS failures,
           avg(ms) AS ms, count(DISTINCT first) AS firsts
    FROM by_arm GROUP BY arm"""


class Experiments(DuckDBFile):
    """The tables `experiments` and `experiment_results`."""

    def trials(self) -> list[Trial]:
        """All experiments, the oldest first."""
        rows = self._rows(f"SELECT {READ} FROM experiments ORDER BY experiments.started, name")
        named = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        return [
            Trial(**{**trial, "experiment": Experiment.model_validate_json(trial["experiment"])})
            for trial in named
        ]

    def running(self) -> Trial | None:
        """The one under way, if any."""
        return next((trial for trial in self.trials() if trial.ended is None), None)

    def record_trial(self, trial: Trial) -> None:
        """Make `trial` what is known of the experiment of its name."""
        row = {name: value for name, value in vars(trial).items() if name != "experiment"}
        self._put("experiments", {**row, "document": trial.experiment.model_dump_json()})

    def record_looks(self, name: str, day: str, looks: Sequence[Look]) -> None:
        """Make `looks` what a day says of an experiment."""
        with self.connect():
            for look in looks:
                self._put("experiment_results", {"name": name, "day": day, **vars(look)})

    def looks(self, name: str, until: str) -> pd.DataFrame:
        """(day, arm, mean, middle, low, high) of the days up to `until`."""
        return self._frame(
            """SELECT day::VARCHAR AS day, arm, mean, middle, low, high FROM experiment_results r
               WHERE name = ? AND r.day <= CAST(? AS DATE) ORDER BY r.day, arm""",
            [name, until],
        )

    def newest_looks(self, name: str) -> list[Look]:
        """Every arm as the newest day found it; nothing before the first day."""
        columns = ", ".join(field.name for field in fields(Look))
        rows = self._rows(
            f"""SELECT {columns} FROM experiment_results r
                WHERE name = $1 AND r.day = (
                    SELECT max(day) FROM experiment_results WHERE name = $1)
                ORDER BY arm""",
            name,
        )
        return [Look(*row) for row in rows]

    def lists_by_arm(self, first: str, last: str) -> pd.DataFrame:
        """(arm, fallbacks, failures, ms, firsts): means over the lists of these days, and how many
        users a drafted list began with the arm, once for each version.
        """
        return self._frame(LISTS_BY_ARM, [first, last])
