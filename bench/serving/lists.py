"""The lists that all contenders answer, from one published model; NumPy alone is needed: BentoML
has its own Python.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from movierec_serving.bundle import PublishedModel, top_items

PROCESSES = 2  # that answer, as ours has


def opened(home: Path | str) -> PublishedModel:
    return PublishedModel.open(Path(home) / "warehouse" / "models", 1)


def listed(model: PublishedModel, user_id: str) -> dict[str, Any]:
    row = model.bundle.user_row(user_id) or 0
    return answer(model, model.top_items[row, :10].tolist(), model.top_scores[row, :10].tolist())


def ranked(model: PublishedModel, vector: Any, seen: Any) -> dict[str, Any]:
    """By our kernel, one user at a time."""
    bundle = model.bundle
    items, scores = top_items(bundle.item_vectors, vector[None], [seen], 10, lengths=bundle.lengths)
    return answer(model, items[0].tolist(), scores[0].tolist())


def ranked_by_numpy(model: PublishedModel, vector: Any, seen: Any) -> dict[str, Any]:
    """As one would write it."""
    scores = model.bundle.item_vectors @ vector
    scores[seen] = -np.inf
    best = np.argpartition(-scores, 10)[:10]
    best = best[np.argsort(-scores[best])]
    return answer(model, best.tolist(), scores[best].tolist())


def answer(model: PublishedModel, items: list[int], scores: list[float]) -> dict[str, Any]:
    rows = [
        {**model.card(item), "score": round(score, 6), "source": "als"}
        for item, score in zip(items, scores, strict=True)
    ]
    return {
        "model_version": 1,
        "data_until": "2019-11-21",
        "recommendation_id": "1-0123456789abcdef01234567",
        "source": "als",
        "items": rows,
    }


def users(model: PublishedModel, count: int = 500) -> list[str]:
    """Those that the benchmark asks about."""
    rows = np.random.default_rng(1).integers(0, len(model.bundle.user_ids), count)
    return [model.bundle.user_id(int(row)) for row in rows]
