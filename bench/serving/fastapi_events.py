"""Events by FastAPI, one SQLite transaction a request: `python -m bench.serving.fastapi_events HOME
PORT`.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from bench.serving.lists import PROCESSES

TABLE = """CREATE TABLE IF NOT EXISTS events (
    event_id TEXT PRIMARY KEY, user_id TEXT, movie_id TEXT, type TEXT, value REAL,
    timestamp INTEGER)"""


class Event(BaseModel):
    event_id: str
    user_id: str
    movie_id: str
    type: str
    value: float | None = None
    timestamp: int


def app() -> Any:
    """FastAPI's, in each of uvicorn's processes; as durable as ours: WAL, synchronous=FULL."""
    made, local = FastAPI(), threading.local()
    path = Path(os.environ["CONTENDER_HOME"]) / "contender.db"

    def connection() -> sqlite3.Connection:
        if not hasattr(local, "connection"):
            local.connection = sqlite3.connect(path, timeout=30, isolation_level=None)
            local.connection.execute("PRAGMA journal_mode = WAL")
            local.connection.execute("PRAGMA synchronous = FULL")
            local.connection.execute(TABLE)
        return local.connection

    @made.post("/events")
    def post(event: Event) -> dict[str, str]:
        connection().execute(
            "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?)",
            tuple(event.model_dump().values()),
        )
        return {"event_id": event.event_id, "status": "kept"}

    return made


if __name__ == "__main__":
    os.environ["CONTENDER_HOME"] = sys.argv[1]
    uvicorn.run(
        "bench.serving.fastapi_events:app",
        factory=True,
        host="127.0.0.1",
        port=int(sys.argv[2]),
        workers=PROCESSES,
        log_level="warning",
        access_log=False,
    )
