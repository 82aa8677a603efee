"""What users did, as the endpoint keeps it: the events that lists are judged by."""

from datetime import UTC, datetime

import pandas as pd

from movierec_assets.platform import Platform

KINDS = {"user_id": "str", "movie_id": "str", "type": "str", "value": "float64"}


def actions_since(platform: Platform, day: str) -> pd.DataFrame:
    """(user_id, movie_id, type, value, done_at) from a day (ISO) on, without what was taken back.

    Raises:
        EventStoreError: the store cannot be reached; without events the rates would be too low.
    """
    begin = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    kept = [kept_event.event for kept_event in platform.event_log.store.since(begin)]
    columns = {name: [getattr(event, name) for event in kept] for name in KINDS}
    frame = pd.DataFrame(columns).astype(KINDS)
    seconds = pd.Series([event.timestamp for event in kept], dtype="int64")
    frame["done_at"] = pd.to_datetime(seconds, unit="s")
    return frame
