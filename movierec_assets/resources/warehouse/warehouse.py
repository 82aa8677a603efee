"""The warehouse: all tables of one home, in one DuckDB file. Each noun of it has a file beside."""

from __future__ import annotations

from typing import Self

from movierec_assets.resources.warehouse.activity import Activity
from movierec_assets.resources.warehouse.catalogue import Catalogue
from movierec_assets.resources.warehouse.erasing import Erasing
from movierec_assets.resources.warehouse.experiments import Experiments
from movierec_assets.resources.warehouse.explored_lists import ExploredLists
from movierec_assets.resources.warehouse.models import Models
from movierec_assets.resources.warehouse.scores import Scores
from movierec_assets.resources.warehouse.served_lists import ServedLists
from movierec_assets.resources.warehouse.shown_lists import ShownLists
from movierec_assets.resources.warehouse.training_data import TrainingData
from movierec_assets.resources.warehouse.verdicts import Verdicts


class Warehouse(
    Verdicts,
    Activity,
    Catalogue,
    TrainingData,
    Models,
    Scores,
    ServedLists,
    ShownLists,
    Experiments,
    ExploredLists,
    Erasing,
):
    """What was delivered, what was made of it by day, and what is served.

    Within `with warehouse.connect():` all that is asked is one unit of work: one transaction, and
    one view of the tables.
    """

    def waiting(self, wait_s: float) -> Self:
        """The same, for whoever waits so long at most while another process has the file."""
        return type(self)(path=self.path, arm=self.arm, wait_s=wait_s)
