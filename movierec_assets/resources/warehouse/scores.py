"""The test by the next day: how what was in production did on the ratings that came after."""

from __future__ import annotations

from dataclasses import fields

from movierec_assets.monitoring.prequential import Score
from movierec_assets.resources.warehouse.duckdb_file import EVER, DuckDBFile

COLUMNS = ", ".join(
    f"{field.name}::VARCHAR" if field.name == "day" else field.name for field in fields(Score)
)


class Scores(DuckDBFile):
    """The table `prequential_evaluation`: a row for each day that was evaluated."""

    def record_score(self, score: Score) -> None:
        """Make `score` the day's."""
        self._put("prequential_evaluation", vars(score))

    def scores(self, until: str = EVER) -> list[Score]:
        """The score of each evaluated day up to `until`, oldest first."""
        rows = self._rows(
            f"""SELECT {COLUMNS} FROM prequential_evaluation
                WHERE day <= CAST(? AS DATE) ORDER BY prequential_evaluation.day""",
            until,
        )
        return [Score(*row) for row in rows]
