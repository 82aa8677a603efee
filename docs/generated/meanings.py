"""What no code can say: the meaning of tags and of entries of metadata."""

from __future__ import annotations

from docs.generated.markdown import sentence, table
from movierec_assets.meanings import meanings_of


def tags() -> str:
    """The tags of a version in MLflow."""
    rows = [(f"`{tag}`", sentence(text)) for tag, text in meanings_of("tags").items()]
    return table(("tag", "meaning"), rows)


def figures() -> str:
    """The numbers of an evaluation and of a verdict, and what their prefixes say."""
    rows = [(f"`{name}`", sentence(text)) for name, text in meanings_of("figures").items()]
    prefixes = [(f"`{name}…`", sentence(text)) for name, text in meanings_of("prefixes").items()]
    return table(("figure", "meaning"), [*rows, *prefixes])


def has_meaning(asset: str, entry: str) -> bool:
    """Whether an entry of an asset's metadata is explained, as itself or as a figure."""
    if entry in meanings_of("metadata").get(asset, {}) or entry in meanings_of("figures"):
        return True
    prefixes = [prefix for prefix in meanings_of("prefixes") if entry.startswith(prefix)]
    return any(has_meaning(asset, entry.removeprefix(prefix)) for prefix in prefixes)
