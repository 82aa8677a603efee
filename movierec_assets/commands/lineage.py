"""`movierec lineage`: from a version, or an answer that it gave, back to the delivered files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Column, Table

from movierec_assets.definitions import resources
from movierec_assets.resources.bundle_store import BundleStore
from movierec_assets.resources.chunk_archive import ChunkArchive
from movierec_assets.resources.model_registry import Version
from movierec_assets.settings import Settings
from movierec_serving.bundle import Bundle, BundleError, popular, recommend


class LineageError(RuntimeError):
    """There is nothing to be traced; the message says what is missing."""


@dataclass(frozen=True)
class Source:
    """A day that a model was trained on, the archived chunk that its data version names, and what is wrong with it."""

    day: str
    sha256: str
    problem: str | None


def version_of(text: str) -> int:
    """The version number in `12`, `v12`, or a recommendation id such as `12-7f3a…`.

    Raises:
        LineageError: it does not begin with a number.
    """
    found = re.match(r"v?([0-9]+)(?![0-9A-Za-z])", text)
    if found is None:
        raise LineageError(f"{text!r} is neither a version nor a recommendation id, which begins with one")
    return int(found[1])


def sources(bundle: Bundle, archive: ChunkArchive, *, rehash: bool) -> list[Source]:
    """Each day of the bundle's training data with its archived chunk; read and hashed again with `rehash`."""
    found = []
    for day, data_version in bundle.manifest.partitions:
        sha256 = data_version.partition("/")[0]
        problem = None if archive.file(day, sha256).is_file() else "not in the archive"
        if rehash and problem is None:
            try:
                archive.read(day, sha256)
            except (OSError, ValueError) as error:
                problem = "altered" if isinstance(error, ValueError) else str(error)
        found.append(Source(day, sha256, problem))
    return found


def ancestors(bundle: Bundle, store: BundleStore) -> Iterator[tuple[str, Bundle | None]]:
    """(identity, bundle) of the models that this one was warm-started from, up to the cold one.

    None where the store no longer has it: the chain cannot be followed any further.
    """
    parent = bundle.manifest.parent
    while parent is not None:
        try:
            ancestor = Bundle.open(store.served(parent))
        except BundleError:
            yield parent, None
            return
        yield parent, ancestor
        parent = ancestor.manifest.parent


def best_movies(bundle: Bundle, user: str, n: int = 10) -> tuple[str, list[tuple[str, float]]]:
    """(als or popular, (movie id, score) best first): what this bundle answers for a user."""
    row = bundle.user_row(user)
    if row is None:
        items = popular(bundle, n)
        return "popular", [(bundle.item_id(int(item)), float(bundle.popularity[item])) for item in items]
    (found,), (scores,) = recommend(bundle, np.array([row]), n)
    return "als", [
        (bundle.item_id(int(item)), float(score))
        for item, score in zip(found, scores, strict=True)
        if item >= 0
    ]


def show_lineage(chosen: Settings, text: str, *, rehash: bool, user: str | None, console: Console) -> bool:
    """Print what a version was made from; whether all of it is there and, with `rehash`, unaltered.

    Raises:
        LineageError: no such version, or its bundle is gone.
    """
    adapters = resources(chosen)
    number = version_of(text)
    versions: dict[int, Version] = {one.number: one for one in adapters["model_registry"].versions()}
    if number not in versions:
        raise LineageError(f"there is no version {number}: there are {len(versions)}")
    version, store = versions[number], adapters["bundle_store"]
    try:
        bundle = Bundle.open(store.served(version.identity), verify=rehash)
    except BundleError as error:
        raise LineageError(f"version {number}: {error}") from error
    if user is not None:
        titles = {key: title for key, title, _ in adapters["warehouse"].movies()}
        _print_best(console, version, bundle, user, titles)
        return True
    manifest, tags = bundle.manifest, version.tags
    _print_pairs(
        console,
        f"version {number}",
        {
            "identity": version.identity,
            "data until": version.data_until,
            "gate": f"{version.gate or 'not judged'}: {tags.get('gate_reason', '')}",
            **{key: tags[key] for key in ("status", "pinned", "revoked", "git_commit", "dagster_run") if key in tags},
            "MLflow run": version.run_id,
            "training code": manifest.training_version,
            "seed": manifest.seed,
            **manifest.parameters,
            **{f"library {name}": value for name, value in manifest.libraries.items()},
            "BLAS": manifest.blas,
            "partitions digest": manifest.partitions_digest,
            "bundle": bundle.path,
        },
    )  # fmt: skip
    chain = list(ancestors(bundle, store))
    table = Table("identity", "fit", "data until", title="parents", title_justify="left")
    table.add_row(f"{version.identity[:12]} (this one)", manifest.fit, manifest.data_until)
    for identity, ancestor in chain:
        known = (ancestor.manifest.fit, ancestor.manifest.data_until) if ancestor else ("[red]gone[/]", "?")
        table.add_row(identity[:12], *known)
    console.print(table)
    found = sources(bundle, adapters["chunk_archive"], rehash=rehash)
    console.print(f"trained on, each at {adapters['chunk_archive'].path}/<day>/<sha256>")
    for one in found:
        state = f"[red]{one.problem}[/]" if one.problem else "hashed again" if rehash else "there"
        console.print(f"{one.day}  {one.sha256}  {state}", soft_wrap=True)
    lost = [one.day for one in found if one.problem]
    console.print(
        f"{len(found)} days, {len(lost)} of their chunks missing or altered{': ' + ', '.join(lost) if lost else ''}"
    )
    return not lost and all(ancestor for _, ancestor in chain)


def _print_pairs(console: Console, title: str, pairs: dict[str, Any]) -> None:
    table = Table("", Column(overflow="fold"), show_header=False, title=title, title_justify="left")
    for name, value in pairs.items():
        table.add_row(name, str(value))
    console.print(table)


def _print_best(
    console: Console, version: Version, bundle: Bundle, user: str, titles: dict[str, str]
) -> None:
    source, best = best_movies(bundle, user)
    title = f"version {version.number}, data until {version.data_until}, for user {user}: {source}"
    table = Table("rank", "movie", "title", "score", title=title, title_justify="left")
    for rank, (movie, score) in enumerate(best, 1):
        table.add_row(str(rank), movie, titles.get(movie, ""), f"{score:.4f}")
    console.print(table)
