"""`movierec lineage`: from a version, or an answer that it gave, back to the delivered files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from movierec_assets.errors import AlteredChunkError, LineageError
from movierec_assets.platform import Platform
from movierec_assets.promotion.version import Version
from movierec_assets.resources.stores.bundle_store import BundleStore
from movierec_assets.resources.stores.chunk_archive import ChunkArchive
from movierec_assets.settings import Settings
from movierec_serving.bundle import Bundle, BundleError, popular, recommend
from movierec_serving.events.tables import SOURCE


def version_of(text: str) -> int:
    """The version number in `12`, `v12`, or a recommendation id such as `12-7f3a…`.

    Raises:
        LineageError: it does not begin with a number.
    """
    match = re.match(r"v?([0-9]+)(?![0-9A-Za-z])", text)
    if match is None:
        raise LineageError(
            f"{text!r} is neither a version nor a recommendation id, which begins with one"
        )
    return int(match[1])


@dataclass(frozen=True)
class SourceFile:
    """An archived chunk that a version was trained on: where it is, and what is wrong with it."""

    day: str
    sha256: str
    place: str
    problem: str | None = None


def sources(bundle: Bundle, archive: ChunkArchive, *, rehash: bool) -> Iterator[SourceFile]:
    """Each archived chunk it was trained on; read and hashed again with `rehash`."""
    named = [(day, version.partition("/")[0]) for day, version in bundle.manifest.partitions]
    here = archive.names()
    there = archive.shared_names() if set(named) - here else set()
    for day, sha256 in named:
        if (day, sha256) not in here and (day, sha256) not in there:
            yield SourceFile(day, sha256, "nowhere", "not in the archive")
            continue
        place = "there" if (day, sha256) in here else "in the object store"
        problem = None
        if rehash:
            try:
                archive.read(day, sha256)
            except AlteredChunkError:
                problem = "altered"
            except OSError as error:
                problem = str(error)
        yield SourceFile(day, sha256, "hashed again" if rehash else place, problem)


def events_of(bundle: Bundle, archive: ChunkArchive) -> Iterator[tuple[str, str]]:
    """(day, event id) of each event whose rating it was trained on, from the archived chunks."""
    for day, data_version in bundle.manifest.partitions:
        sha256, *more = data_version.split("/")
        if SOURCE in more[1:2]:
            content = archive.read(day, sha256).decode()
            for row in csv.DictReader(io.StringIO(content, newline="")):
                yield day, row["event_id"]


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


def show_lineage(
    home_settings: Settings,
    text: str,
    *,
    rehash: bool,
    user: str | None,
    console: Console,
    events: bool = False,
) -> bool:
    """Print what a version was made from; whether all of it is there and, with `rehash`, unaltered.

    Raises:
        LineageError: no such version, or its bundle is gone.
    """
    platform = Platform.of(home_settings)
    version = known_version(platform, version_of(text))
    store, archive = platform.bundle_store, platform.chunk_archive
    try:
        bundle = Bundle.open(store.served(version.identity), verify=rehash)
    except BundleError as error:
        raise LineageError(f"version {version.number}: {error}") from error
    if user is not None:
        titles = {key: title for key, title, _ in platform.warehouse.movies()}
        _print_best(console, version, bundle, user, titles)
        return True
    chain = list(ancestors(bundle, store))
    files = list(sources(bundle, archive, rehash=rehash))
    console.print(_facts(version, bundle))
    console.print(_parents(version, bundle, chain))
    console.print(f"trained on, each at {archive.path}/<day>/<sha256>")
    for file in files:
        state = f"[red]{escape(file.problem)}[/]" if file.problem else file.place
        console.print(f"{file.day}  {file.sha256}  {state}", soft_wrap=True)
    if events:
        for day, event_id in events_of(bundle, archive):
            console.print(f"event {day}  {escape(event_id)}", soft_wrap=True)
    lost = [file.day for file in files if file.problem]
    named = f": {', '.join(lost)}" if lost else ""
    console.print(f"{len(files)} days, {len(lost)} of their chunks missing or altered{named}")
    return not lost and all(ancestor for _, ancestor in chain)


def known_version(platform: Platform, number: int) -> Version:
    """A version by its number.

    Raises:
        LineageError: there is none, or its files were removed on purpose.
    """
    registry = platform.model_registry
    versions: dict[int, Version] = {version.number: version for version in registry.versions()}
    if number in versions:
        return versions[number]
    record = registry.records.get(number)
    if record is not None and record.removed is not None:
        raise LineageError(f"version {number} was removed: {record.removed}")
    raise LineageError(f"there is no version {number}: there are {len(versions)}")


def _facts(version: Version, bundle: Bundle) -> Table:
    """What a version is, and what went into its training beside the data."""
    manifest, tags = bundle.manifest, version.tags
    told = ("status", "pinned", "revoked", "git_commit", "dagster_run")
    facts = {
        "identity": version.identity,
        "data until": version.data_until,
        "gate": f"{version.gate or 'not judged'}: {tags.get('gate_reason', '')}",
        **{name: tags[name] for name in told if name in tags},
        "MLflow run": version.run_id,
        "training code": manifest.training_version,
        "seed": manifest.seed,
        **manifest.parameters,
        **{f"library {name}": value for name, value in manifest.libraries.items()},
        "BLAS": manifest.blas,
        "partitions digest": manifest.partitions_digest,
        "bundle": bundle.path,
    }
    title = f"version {version.number}"
    table = Table("", Column(overflow="fold"), show_header=False, title=title, title_justify="left")
    for name, value in facts.items():
        table.add_row(name, escape(str(value)))
    return table


def _parents(version: Version, bundle: Bundle, chain: Sequence[tuple[str, Bundle | None]]) -> Table:
    """The models that it was warm-started from, its own line first."""
    table = Table("identity", "fit", "data until", title="parents", title_justify="left")
    own = bundle.manifest
    table.add_row(f"{version.identity[:12]} (this one)", own.fit, own.data_until)
    for identity, ancestor in chain:
        if ancestor is None:
            table.add_row(identity[:12], "[red]gone[/]", "?")
        else:
            table.add_row(identity[:12], ancestor.manifest.fit, ancestor.manifest.data_until)
    return table


def _print_best(
    console: Console, version: Version, bundle: Bundle, user: str, titles: dict[str, str]
) -> None:
    """What this bundle answers for a user."""
    row = bundle.user_row(user)
    source = "popular" if row is None else bundle.family.name
    (items,), (scores,) = (
        ([popular(bundle, 10)], [bundle.popularity])
        if row is None
        else recommend(bundle, [row], 10)
    )
    title = (
        f"version {version.number}, data until {version.data_until}, for user "
        f"{escape(user)}: {source}"
    )
    table = Table("rank", "movie", "title", "score", title=title, title_justify="left")
    for place, item in enumerate(items[items >= 0].tolist()):
        movie, score = bundle.item_id(item), scores[item if row is None else place]
        table.add_row(str(place + 1), escape(movie), escape(titles.get(movie, "")), f"{score:.4f}")
    console.print(table)
