"""The tables of the warehouse, from an empty one of the newest schema."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module

from docs.generated.markdown import sentence, table
from docs.generated.meanings import meanings_of


@cache
def columns() -> Mapping[str, Sequence[tuple[str, str]]]:
    """(column, type) by table or view, of a warehouse that has just been made."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = import_module("movierec_assets.resources.warehouse.warehouse").Warehouse
        with warehouse(path=f"{folder}/movierec.duckdb").connect() as connection:
            rows = connection.execute(
                "SELECT table_name, column_name, data_type FROM duckdb_columns() "
                "WHERE NOT internal ORDER BY table_name, column_index"
            ).fetchall()
    names = dict.fromkeys(name for name, _, _ in rows)
    return {name: [(column, kind) for of, column, kind in rows if of == name] for name in names}


def tables() -> str:
    """A heading for each table and view of the warehouse, with its columns."""
    sections = []
    for name, found in columns().items():
        meanings = meanings_of("columns").get(name, {})
        rows = [(f"`{column}`", kind, sentence(meanings.get(column))) for column, kind in found]
        head = f"### `{name}`\n\n{sentence(meanings_of('tables').get(name))}\n\n"
        sections.append(head + table(("column", "type", "meaning"), rows))
    return "\n\n".join(sections)
