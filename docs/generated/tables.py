"""The tables of the warehouse, from an empty one of the newest schema."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module

from docs.generated.markdown import sentence, table


@cache
def columns() -> Mapping[tuple[str, str], Sequence[tuple[str, str, str]]]:
    """(column, type, comment) by (table, comment), of a warehouse of the newest schema."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = import_module("movierec_assets.resources.warehouse.warehouse").Warehouse
        with warehouse(path=f"{folder}/movierec.duckdb").connect() as connection:
            query = connection.execute
            names = query(
                "SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal UNION ALL "
                "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal ORDER BY 1"
            ).fetchall()
            return {
                (name, comment or ""): query(
                    "SELECT column_name, data_type, coalesce(comment, '') FROM duckdb_columns() "
                    "WHERE NOT internal AND table_name = ? ORDER BY column_index",
                    [name],
                ).fetchall()
                for name, comment in names
            }


def tables() -> str:
    """A heading for each table and view of the warehouse, with its columns."""
    sections = []
    for (name, comment), rows in columns().items():
        cells = [(f"`{column}`", kind, sentence(text)) for column, kind, text in rows]
        head = f"### `{name}`\n\n{sentence(comment)}\n\n"
        sections.append(head + table(("column", "type", "meaning"), cells))
    return "\n\n".join(sections)
