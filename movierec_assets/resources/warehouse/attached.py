"""DuckDB files, attached to instances that are kept.

To begin an instance costs 20 ms of CPU, to attach a file to one costs one.
"""

from __future__ import annotations

import atexit
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

# By process and file: a fork has no thread of its parent's instances, and must not even end them.
_idle: defaultdict[tuple[int, str], list[duckdb.DuckDBPyConnection]] = defaultdict(list)


@contextmanager
def attached(path: str, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose database is a file, of an instance that no other block has meanwhile.

    Whatever a block leaves behind when it fails goes with its instance.

    Raises:
        duckdb.Error: the file cannot be opened, or another instance has it.
    """
    instance = _taken(path)
    with instance.cursor() as connection:
        try:
            attach(connection, path, Path(path).stem, read_only=read_only)
            connection.execute(f'USE "{Path(path).stem}"')
        except duckdb.Error:
            _idle[os.getpid(), path].append(instance)
            raise
        try:
            yield connection
            _detach_all(connection)
        except BaseException:
            instance.close()
            raise
    _idle[os.getpid(), path].append(instance)


def _taken(path: str) -> duckdb.DuckDBPyConnection:
    try:
        return _idle[os.getpid(), path].pop()
    except IndexError:
        # What does not fit into memory goes beside the file, not into the current folder.
        return duckdb.connect(":memory:", config={"temp_directory": f"{path}.tmp"})


@atexit.register
def _end() -> None:
    """What is still there when Python ends is called a leak by DuckDB, on the console."""
    for (process, _), instances in _idle.items():
        while process == os.getpid() and instances:
            instances.pop().close()


def attach(
    connection: duckdb.DuckDBPyConnection, path: str, name: str, *, read_only: bool = False
) -> None:
    """Add the database in a file to a connection, under a name."""
    options = "(READ_ONLY)" if read_only else ""
    connection.execute(f'ATTACH {quoted(path)} AS "{name}" {options}')


def quoted(text: str) -> str:
    """A text as SQL has it, where DuckDB takes no parameter."""
    return "'" + text.replace("'", "''") + "'"


def _detach_all(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("USE memory")
    names = connection.execute(
        "SELECT database_name FROM duckdb_databases() "
        "WHERE NOT internal AND database_name <> 'memory'"
    ).fetchall()
    for (name,) in names:
        connection.execute(f'DETACH "{name}"')
