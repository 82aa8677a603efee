"""MLflow's absolute locations, rewritten when a home was moved or restored at another path.

MLflow keeps the place of every artifact as an absolute URI and has no call that changes one. These
columns are all of them that it reads files by; what a tag or an MLmodel says of the old place is
history.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def relocate(database: Path, experiment: str, root: Path) -> bool:
    """Make the locations of `experiment`'s artifacts begin with `root`, in one transaction.

    Args:
        database: MLflow's SQLite file.
        root: the warehouse's folder now; the one before is told by the experiment.

    Returns:
        Whether anything was to be changed.
    """
    with closing(sqlite3.connect(database, timeout=20)) as connection, connection:
        sql = "SELECT artifact_location FROM experiments WHERE name = ?"
        row = connection.execute(sql, (experiment,)).fetchone()
        new = root.resolve().as_uri()
        if row is None or not row[0] or row[0] == f"{new}/mlflow":
            return False
        old = row[0].removesuffix("/mlflow")
        for before in (old, unquote(urlsplit(old).path)):  # as a URI, and as a path
            for table, column in LOCATIONS:
                connection.execute(
                    f"""UPDATE {table} SET {column} = ? || substr({column}, length(?) + 1)
                        WHERE substr({column}, 1, length(?) + 1) = ? || '/'""",
                    (new, before, before, before),
                )
    return True
