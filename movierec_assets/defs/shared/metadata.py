"""Metadata of assets and checks: the shapes that Dagster's UI shows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

Metadata = Mapping[str, Any]


def table(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> dg.TableMetadataValue:
    """A table from rows of values, in the order of the columns."""
    schema = dg.TableSchema([dg.TableColumn(name) for name in columns])
    records = [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows]
    return dg.MetadataValue.table(records, schema)
