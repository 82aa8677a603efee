"""The log files of a home, asked by SQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from movierec_assets.errors import LogsError

# The fields that all logs have; what else a line holds is not asked for.
COLUMNS = {
    "time": "TIMESTAMP",
    "level": "VARCHAR",
    "process": "VARCHAR",
    "event": "VARCHAR",
    "logger": "VARCHAR",
    "pid": "BIGINT",
    "run": "VARCHAR",
    "partition": "VARCHAR",
    "request": "VARCHAR",
    "recommendation": "VARCHAR",
    "version": "BIGINT",
    "arm": "VARCHAR",
    "route": "VARCHAR",
    "status": "BIGINT",
    "seconds": "DOUBLE",
    "error": "VARCHAR",
}


def lines_of(folder: Path, since: datetime, where: str, limit: int) -> Iterator[dict[str, Any]]:
    """The newest lines since a UTC time that meet a condition, oldest first, without empty fields.

    Lines that are no records, as of an older movierec, are left out. The condition reads these
    lines and nothing else: files are out of its reach.

    Raises:
        LogsError: there are no logs, or the condition is no SQL.
    """
    files = [str(file) for file in sorted(folder.glob("*.log*")) if file.stat().st_size]
    if not files:
        raise LogsError(f"{folder} has no logs: `movierec up` writes them")
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE logs AS SELECT * FROM read_json(?, columns = ?, ignore_errors = true, "
            "format = 'newline_delimited')",
            [files, COLUMNS],
        )
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        sql = f"SELECT * FROM logs WHERE time >= ? AND ({where}) ORDER BY time DESC LIMIT ?"
        try:
            rows = connection.execute(sql, [since, limit]).fetchall()
        except duckdb.Error as error:
            why = str(error).partition("\n")[0]
            raise LogsError(f"--where: {why}; the columns are {', '.join(COLUMNS)}") from error
    for row in reversed(rows):
        yield {name: value for name, value in zip(COLUMNS, row, strict=True) if value is not None}
