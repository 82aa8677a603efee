"""A user forgotten: every store's traces of one id, found and taken out.

Each function can be repeated and changes nothing the second time, so an erasure that was killed
goes on with the next call. Models are not changed: those that know the user are removed, and made
again from the rewritten chunks by whoever calls this.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from movierec_assets.errors import ChunkError
from movierec_assets.maintenance.contents import DATABASE, databases_of
from movierec_assets.maintenance.journal import ID_FILE, Journal
from movierec_assets.maintenance.known import kept_records, read_by
from movierec_assets.maintenance.prune import finish_removals
from movierec_assets.maintenance.recovery import restore_events
from movierec_assets.maintenance.scrub import scrub_sqlite
from movierec_assets.maintenance.traces import Traces, same_id
from movierec_assets.platform import Platform
from movierec_assets.ratings.declaration import PLAIN, Declaration
from movierec_assets.ratings.rewriting import Layout, without_records
from movierec_assets.resources.registry.version_records import VersionRecord
from movierec_assets.resources.stores.receipts import Receipt
from movierec_assets.resources.stores.taken_rows import TakenRows
from movierec_serving.bundle import Bundle, BundleError
from movierec_serving.bundle.files import replace_file

AUDIT = "erasures.jsonl"
LINES = (".jsonl", ".log", ".out", ".err", ".txt")  # files in which each line stands for itself


def rewrite_chunks(platform: Platform, journal: Journal) -> None:
    """Take the user's records out of every archived chunk, here and in the object store, and of the
    landing zone.

    A rewritten chunk has another sha256, and an entry in the audit that says so. One that cannot be
    read, and names the user, is removed as a whole. The journal learns the days before a file goes.
    """
    root, archive = platform.settings.warehouse, platform.chunk_archive
    archive.share()
    archive.bring()  # chunks that only the object store has
    gone = set()
    for receipt in archive.receipts.all():
        content = archive.read(receipt.day, receipt.sha256, altered=True)
        layout = _layout(read_by(platform, receipt))
        rest, count = _rest(content, receipt.path, journal.user_id, layout)
        if rest == content:
            continue
        if receipt.day not in journal.days:
            journal.days.append(receipt.day)
            journal.save(root)
        sha256 = _archive_rest(platform, receipt, rest) if rest is not None else None
        _audit(root, journal, receipt, sha256, count)
        archive.remove(receipt.day, receipt.sha256)
        gone.add((receipt.day, receipt.sha256))
    for file in sorted(Path(platform.landing_zone.path).rglob("*")):
        if file.is_file() and not file.is_symlink() and file.name != "movies.csv":
            content = file.read_bytes()
            layout = _layout(platform.landing_zone.declaration(file.parent.name))
            rest, _ = _rest(content, file.name, journal.user_id, layout)
            if rest is None:
                file.unlink()
            elif rest != content:
                replace_file(file, rest)
    archive.share(without=gone)


def _layout(declared: Declaration | None) -> Layout:
    """Where the files of a source name the user, by its declaration."""
    declared = declared or PLAIN
    return Layout(declared.separator, declared.columns.user_id, declared.header)


def erase_taken(platform: Platform, journal: Journal) -> None:
    """Take the user's rows out of those that were read from tables and are not delivered yet."""
    for state in sorted((platform.settings.warehouse / "taken").glob("*.db")):
        with TakenRows.open(state) as kept:
            kept.erase(partial(same_id, user_id=journal.user_id))


def _rest(content: bytes, name: str, user_id: str, layout: Layout) -> tuple[bytes | None, int]:
    """The content without the user's records and their number; None where it cannot be kept."""
    traces = Traces(user_id)
    try:
        rest, count = without_records(content, name, partial(same_id, user_id=user_id), layout)
    except ChunkError:
        return (None, 0) if traces.in_bytes(content) else (content, 0)
    if traces.distinctive and traces.in_bytes(rest):  # in another field, of a record that is torn
        return traces.without_lines(rest), count
    return rest, count


def _archive_rest(platform: Platform, receipt: Receipt, rest: bytes) -> str:
    """Archive what is left of a chunk as if it had been delivered then; its sha256."""
    sha256 = platform.chunk_archive.store(receipt.day, rest)
    platform.chunk_archive.receipts.write(replace(receipt, sha256=sha256))
    return sha256


def _audit(
    warehouse: Path, journal: Journal, receipt: Receipt, sha256: str | None, count: int
) -> None:
    """One line that says what was done to a chunk, never to whom."""
    entry = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "reason": journal.reason,
        "day": receipt.day,
        "old_sha256": receipt.sha256,
        "new_sha256": sha256,
        "records_removed": count,
    }
    with (warehouse / AUDIT).open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
        file.flush()
        os.fsync(file.fileno())


def remove_models(platform: Platform, journal: Journal) -> list[int]:
    """Remove every version, bundle, twin and publication that knows the user; the numbers.

    Production falls back to the newest version that is left, or to none, when it is reconciled.
    """
    store, records = platform.bundle_store, kept_records(platform)
    store.bring()  # those that only the object store has
    why = f"forget, {journal.asked_at[:10]}: {journal.reason}"

    def folders(record: VersionRecord) -> Iterator[Path]:
        yield Path(platform.published_models.path) / str(record.number)
        if record.identity:
            yield store.served(record.identity)
            yield store.twin(record.identity)

    due = [
        record.number
        for record in records.values()
        if any(knows(folder, journal.user_id) for folder in folders(record))
    ]
    for number in due:
        platform.model_registry.announce_removal(number, why)
    finish_removals(platform)
    root = platform.settings.warehouse
    stored = (path for name in ("bundles", "twins", "models") for path in root.glob(f"{name}/*"))
    store.remove(path for path in stored if knows(path, journal.user_id))  # what no version has
    if store.shared:
        store.shared.send(every=True)
    return due


def knows(folder: Path, user_id: str) -> bool:
    """Whether a bundle's folder holds the user; a damaged one might, so it counts as one."""
    if not folder.is_dir():
        return False
    try:
        return Bundle.open(folder).user_row(user_id) is not None
    except BundleError:
        return True


def erase_rows(platform: Platform, journal: Journal) -> None:
    """Delete the user's rows, those of the rewritten days and of models that are gone, from DuckDB;
    then write the file anew, since deleted rows stay in free blocks.

    The rewritten days are ingested again from the archive by whoever calls this.
    """
    traces = Traces(journal.user_id)
    kept = {record.identity for record in kept_records(platform).values()}
    platform.warehouse.erase_user(journal.user_id, journal.days, kept, traces.masked)
    platform.warehouse.compact()


def erase_events(platform: Platform, journal: Journal) -> None:
    """Delete what the user did from the store of events and their files; their ratings, too."""
    store, files = platform.event_log.store, platform.home_files.events
    platform.home_files.bring()  # events that only the object store has
    restore_events(platform)
    store.forget(journal.user_id)
    for day in files.days():
        files.write(day, store.day(day))
    store.close()


def scrub_databases(platform: Platform, journal: Journal) -> None:
    """Mask the id in every text of every SQLite file, and give their free pages back."""
    traces = Traces(journal.user_id)
    for database in databases_of(platform.settings.warehouse):
        scrub_sqlite(database, traces)
    records = platform.model_registry.records
    for record in records.all().values():
        tags = {key: traces.masked(value) for key, value in record.tags.items()}
        if tags != record.tags:
            records.change(record.number, dict(tags))


def scrub_files(platform: Platform, journal: Journal) -> None:
    """Take the id out of what is left: lines of logs and events, whole artifacts of MLflow; and of
    the copies in the object store.
    """
    platform.home_files.bring()  # lists that only the object store has
    traces, warehouse = Traces(journal.user_id), platform.settings.warehouse
    for file in left_in(warehouse, traces):
        parts = file.relative_to(warehouse).parts
        if parts[0] == "mlflow" and len(parts) > 2:  # of a version that the registry does not have
            shutil.rmtree(warehouse.joinpath(*parts[:3]), ignore_errors=True)
        elif file.suffix in LINES or parts[0] in ("dagster", "logs"):  # also logs of before
            replace_file(file, traces.without_lines(file.read_bytes()))
        elif file.suffix == ".gz":
            rest = traces.without_lines(gzip.decompress(file.read_bytes()))
            replace_file(file, gzip.compress(rest, mtime=0))
        elif parts[0] == "tmp" or file.name.startswith(".tmp-"):
            file.unlink(missing_ok=True)
    platform.home_files.share(every=True)


def left_in(warehouse: Path, traces: Traces) -> Iterator[Path]:
    """Every file that still names the user, the journal and the program's migrations left out."""
    for file in sorted(warehouse.rglob("*")):
        if not file.is_file() or file.is_symlink() or file == warehouse / ID_FILE:
            continue
        if file.relative_to(warehouse).parts[0] in ("migrations", "cache"):
            continue
        content = file.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            try:
                content = gzip.decompress(content)
            except (OSError, EOFError):  # cut short: searched as it is
                content = file.read_bytes()
        if file.suffix not in DATABASE and traces.in_bytes(content):
            yield file
