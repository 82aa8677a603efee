"""A version in words, as Markdown: what a person asks first.

Which version is production is not here: that changes, and the tags say it.
"""

from __future__ import annotations

from collections.abc import Mapping


def describe(tags: Mapping[str, str], metrics: Mapping[str, float]) -> str:
    """Say of which day a version is, how good, what the gate decided and why, and what made it.

    Args:
        tags: the version's.
        metrics: of its evaluation, by name; may be empty.
    """
    verdict = tags.get("gate", "not judged yet").replace("_", " ")
    first = f"{tags.get('partition') or tags.get('data_until', '')}, {verdict}."
    own, popular = metrics.get("ndcg_at_10"), metrics.get("popularity_ndcg_at_10")
    if own is not None and popular is not None:
        first += f" NDCG@10 {own:.4f}, popularity's {popular:.4f}."
    made = f"A {tags['fit']} fit" if "fit" in tags else "Made"
    if "dagster_run_url" in tags:
        made += f" by Dagster's run [{tags['dagster_run'][:8]}]({tags['dagster_run_url']})"
    return "\n\n".join(filter(None, [first, tags.get("gate_reason"), f"{made}."]))
