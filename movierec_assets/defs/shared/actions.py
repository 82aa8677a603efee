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
    kept = [one.event for one in platform.event_log.store.since(begin)]
    columns = {name: [getattr(one, name) for one in kept] for name in KINDS}
    frame = pd.DataFrame(columns).astype(KINDS)
    seconds = pd.Series([one.timestamp for one in kept], dtype="int64")
    frame["done_at"] = pd.to_datetime(seconds, unit="s")
    return frame
