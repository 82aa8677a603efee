"""The trainers that the pipeline knows, one a family, by what `MOVIEREC_MODEL` calls it.

A new one is a file here and a line in this table; docs/how-to/add-a-trainer.md says how. Algorithms
that are only compared with live with the benches.
"""

from __future__ import annotations

from collections.abc import Mapping

from movierec_assets.training.als import ALS
from movierec_assets.training.ease import EASE
from movierec_assets.training.spark_als import SPARK_ALS
from movierec_assets.training.trainer import Trainer

TRAINERS: Mapping[str, Trainer] = {trainer.family: trainer for trainer in (ALS, EASE, SPARK_ALS)}
