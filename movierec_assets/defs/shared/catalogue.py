"""What Dagster's catalogue says of an asset's table: its columns, what they mean, where each comes
from.

Types are the schema's and words those of `meanings.toml`; here is only which table is an asset's,
and which columns each column is made of. An asset without a table has no columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from movierec_assets.defs.shared.keys import (
    MODEL_OF_A_DAY,
    RAW_RATINGS,
    RECOMMENDATION_LOG,
    VALIDATED_RATINGS,
)
from movierec_assets.meanings import meanings_of
from movierec_assets.resources.warehouse.duckdb_file import columns

Made = Mapping[str, tuple[tuple[dg.AssetKey, str], ...]]  # by column: (asset, column) it is made of


def _of(asset: dg.AssetKey, *names: str) -> tuple[tuple[dg.AssetKey, str], ...]:
    return tuple((asset, name) for name in names)


RATED = _of(VALIDATED_RATINGS, "user_id", "movie_id", "rating", "rated_at")
SHOWN = _of(RECOMMENDATION_LOG, "user_id", "arm", "shown_at", "movies")
DAYS = _of(VALIDATED_RATINGS, "day")
OF_A_MODEL: Made = {
    "day": DAYS,
    "identity": RATED,
    "parent": RATED,
    "data_until": DAYS,
    "partitions_digest": DAYS,
    "metrics": RATED,
}
MADE_OF: Mapping[str, Made] = {
    "validated_ratings": {
        **{
            name: _of(RAW_RATINGS, name)
            for name in ("day", "source", "record", "user_id", "movie_id", "rating")
        },
        "rated_at": _of(RAW_RATINGS, "timestamp"),
    },
    "day_models": OF_A_MODEL,
    "als_model": OF_A_MODEL,
    "served_model": {
        "user_id": _of(VALIDATED_RATINGS, "user_id"),
        "movie_id": _of(VALIDATED_RATINGS, "movie_id"),
        "score": RATED,
    },
    "prequential_evaluation": {
        "day": DAYS,
        "users": _of(VALIDATED_RATINGS, "user_id"),
        **dict.fromkeys(("production", "popularity", "month_before"), RATED),
    },
    "experiment_results": {
        "day": _of(RECOMMENDATION_LOG, "day"),
        "arm": _of(RECOMMENDATION_LOG, "arm"),
        "users": _of(RECOMMENDATION_LOG, "user_id"),
        **dict.fromkeys(("mean", "middle", "low", "high", "dislikes"), SHOWN + RATED),
        "mismatch": _of(RECOMMENDATION_LOG, "user_id", "arm"),
        "fallbacks": _of(RECOMMENDATION_LOG, "reason"),
        "failures": _of(RECOMMENDATION_LOG, "arm_failed"),
        "ms": _of(RECOMMENDATION_LOG, "ms"),
    },
    "tuned_parameters": {"day": DAYS, "identity": RATED, "parameters": RATED},
}


def catalogued(spec: dg.AssetSpec) -> dg.AssetSpec:
    """The asset's spec with the columns of its table, if it has one."""
    table = table_of(spec)
    return spec if table is None else spec.merge_attributes(metadata=_metadata(table))


def table_of(spec: dg.AssetSpec) -> str | None:
    """The table that holds what the asset makes: of its name, or that of every arm's models."""
    name = spec.key.to_user_string()
    if name in columns():
        return name
    return "day_models" if dict([MODEL_OF_A_DAY]).items() <= spec.tags.items() else None


def _metadata(table: str) -> dict[str, Any]:
    meant = meanings_of("columns").get(table, {})
    described = [
        dg.TableColumn(name, type=kind, description=meant.get(name))
        for name, kind in columns()[table]
    ]
    metadata: dict[str, Any] = {"dagster/column_schema": dg.TableSchema(columns=described)}
    made = {
        column: [dg.TableColumnDep(asset_key=asset, column_name=name) for asset, name in of]
        for column, of in MADE_OF.get(table, {}).items()
    }
    if made:
        metadata["dagster/column_lineage"] = dg.TableColumnLineage(made)
    return metadata
