"""The model families that can be served: what a bundle of each holds, and how it ranks.

A new family is a file here and a line in this table; docs/how-to/add-a-family.md says how. How a
family is trained is the pipeline's business.
"""

from collections.abc import Mapping

from movierec_serving.bundle.families.als import Als
from movierec_serving.bundle.families.ease import Ease
from movierec_serving.bundle.families.family import Family as Family
from movierec_serving.bundle.families.spark_als import SparkAls
from movierec_serving.bundle.layout import ARRAYS, Layout

FAMILIES: Mapping[str, type[Family]] = {family.name: family for family in (Als, Ease, SparkAls)}


def layout_of(family: str) -> Layout:
    """The arrays of a bundle of a family: its own, then those of all families."""
    return {**FAMILIES[family].layout, **ARRAYS}
