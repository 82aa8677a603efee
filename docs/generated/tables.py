"""The tables of the warehouse, of the newest schema."""

from __future__ import annotations

from docs.generated.markdown import sentence, table
from movierec_assets.meanings import meanings_of
from movierec_assets.resources.warehouse.duckdb_file import columns


def tables() -> str:
    """A heading for each table and view of the warehouse, with its columns."""
    sections = []
    for name, kinds in columns().items():
        meanings = meanings_of("columns").get(name, {})
        rows = [(f"`{column}`", kind, sentence(meanings.get(column))) for column, kind in kinds]
        head = f"### `{name}`\n\n{sentence(meanings_of('tables').get(name))}\n\n"
        sections.append(head + table(("column", "type", "meaning"), rows))
    return "\n\n".join(sections)
