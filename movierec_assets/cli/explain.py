"""`movierec explain`: one list that somebody was shown, why each movie, and what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from movierec_assets.errors import LineageError
from movierec_assets.platform import Platform
from movierec_serving.bundle import Bundle, BundleError, Evidence
from movierec_serving.bundle.thin import genres_behind
from movierec_serving.bundle.unrated import Unrated
from movierec_serving.events.shown import Drafted

REASONS = 3  # rated movies that explain one recommended


@dataclass(frozen=True)
class Shown:
    """A list as it was shown, from the table, or from the endpoint's files before it is there.

    Attributes:
        drafted: what each arm gave to it, the control's first; empty where it is of one.
    """

    id: str
    user_id: str | None
    version: int
    arm: str | None
    at: pd.Timestamp
    source: str
    reason: str | None
    first_place: int
    movies: list[str]
    drafted: list[Drafted] = field(default_factory=list)

    @property
    def places(self) -> dict[str, str]:
        """The arm of each movie that is one arm's alone."""
        return {self.movies[p - 1]: part["arm"] for part in self.drafted for p in part["places"]}


def find_shown(platform: Platform, recommendation_id: str) -> Shown:
    """The list of an id.

    Raises:
        LineageError: nothing is known of it, and why that may be.
    """
    shown_list = platform.warehouse.shown(recommendation_id)
    if shown_list.empty:
        shown_list = platform.shown_files.find(recommendation_id)
    if shown_list.empty:
        raise LineageError(
            f"no list {recommendation_id!r} is known. It was not shown to a person "
            "(shown=false), its user is not in MOVIEREC_SHOWN_SHARE, or it is older than "
            "MOVIEREC_KEEP_SHOWN_DAYS"
        )
    row = {str(name): value for name, value in shown_list.iloc[0].to_dict().items()}
    return Shown(
        id=recommendation_id,
        user_id=_text(row["user_id"]),
        version=int(row["version"]),
        arm=_text(row["arm"]),
        at=row["shown_at"],
        source=row["source"],
        reason=_text(row["reason"]),
        first_place=int(row["skipped"]) + 1,
        movies=list(row["movies"]),
        drafted=json.loads(_text(row["drafted"]) or "[]"),
    )


def explain(platform: Platform, recommendation_id: str, console: Console) -> None:
    """Print the list with the reasons and what the user did with it.

    Raises:
        LineageError: nothing is known of it.
    """
    shown = find_shown(platform, recommendation_id)
    titles = {movie: title for movie, title, _ in platform.warehouse.movies()}
    made_by = f"version {shown.version}" + (f", arm {shown.arm}" if shown.arm else "")
    console.print(
        f"shown {shown.at:%Y-%m-%d %H:%M:%S} UTC to "
        f"{escape(shown.user_id) if shown.user_id else 'nobody in particular'}: {shown.source}"
        f"{f' ({shown.reason})' if shown.reason else ''}, by {made_by}",
        soft_wrap=True,
    )
    because, note = _because(platform, shown)
    done = _done(platform, shown)
    arms = shown.places
    rows = Table("place", "movie", "title", "because of", "then")
    for place, movie in enumerate(shown.movies, shown.first_place):
        reasons = ", ".join(titles.get(liked, liked) for liked in because.get(movie, []))
        cells = (movie, titles.get(movie, ""), reasons, "; ".join(done.get(movie, [])))
        own = f", {arms.get(movie, 'both')}" if shown.drafted else ""
        rows.add_row(f"{place}{own}", *map(escape, cells))
    console.print(rows)
    if note:
        console.print(note, soft_wrap=True)
    console.print(f"movierec lineage {shown.version} has what the version was made from")


def _because(platform: Platform, shown: Shown) -> tuple[dict[str, list[str]], str]:
    """The rated movies that added most to each one's score, as the version knows them, after the
    genres where these add more; else why there are none.
    """
    if shown.drafted:
        return _because_of_both(platform, shown)
    if shown.source == "popular":
        return {}, "popular movies have no other reason"
    if shown.user_id is None:
        return {}, "no user was asked for: these are like the movie that was"
    try:
        bundle, unrated = _bundle(platform, shown.version)
    except BundleError:
        return {}, f"the files of version {shown.version} are gone, so the reasons are not known"
    row = bundle.user_row(shown.user_id)
    if row is None:
        return {}, "the version does not know the user: the reasons were in what was asked"
    evidence = Evidence.of_user(bundle, row)
    rows = bundle.item_rows(shown.movies)
    known = np.flatnonzero(rows >= 0)
    shares = np.where(evidence.liked[:, None], evidence.shares(rows[known]), 0.0)
    behind = genres_behind(unrated, evidence, rows[known])
    by_movie = {}
    for place, share, genres in zip(known.tolist(), shares.T, behind, strict=True):
        best = np.argsort(-share, kind="stable")[:REASONS].tolist()
        liked = [bundle.item_id(int(evidence.rows[i])) for i in best if share[i] > 0]
        content = [f"its genres ({', '.join(genres)})"] if genres else []
        by_movie[shown.movies[place]] = content + liked
    return by_movie, ""


def _because_of_both(platform: Platform, shown: Shown) -> tuple[dict[str, list[str]], str]:
    """The same of each arm's movies by its version; the control's has those of both."""
    arms, reasons, notes = shown.places, dict[str, list[str]](), []
    for part, also in zip(shown.drafted, ("both", None), strict=True):
        movies = [movie for movie in shown.movies if arms.get(movie, "both") in (part["arm"], also)]
        version, source = part["version"], part["source"]
        made = replace(shown, version=version, source=source, movies=movies, drafted=[])
        because, note = _because(platform, made)
        reasons |= because
        notes += [f"{part['arm']}, version {version}: {note}"] if note else []
    return reasons, "\n".join(notes)


def _bundle(platform: Platform, version: int) -> tuple[Bundle, Unrated | None]:
    """Open a version's bundle, published or kept, with what it knows of genres; BundleError where
    it is gone.
    """
    try:
        published = platform.published_models.open(version)
        return published.bundle, published.unrated
    except BundleError:
        identities = {
            version.number: version.identity for version in platform.model_registry.versions()
        }
        return Bundle.open(platform.bundle_store.served(identities.get(version, "none"))), None


def _done(platform: Platform, shown: Shown) -> dict[str, list[str]]:
    """What the user did with each movie of the list since, in words."""
    if shown.user_id is None:
        return {}
    done_by_movie: dict[str, list[str]] = {}
    for movie, stars, at in platform.warehouse.rated_since(shown.user_id, shown.movies, shown.at):
        done_by_movie.setdefault(movie, []).append(f"{stars:g} stars, {at:%Y-%m-%d %H:%M}")
    since = int(shown.at.timestamp())
    for kept in platform.event_log.store.of_user(shown.user_id):
        event = kept.event
        if event.timestamp < since or event.movie_id not in shown.movies:
            continue
        value = "" if event.value is None else f" {event.value:g}"
        back = ", taken back" if kept.removed else ""
        when = datetime.fromtimestamp(event.timestamp, UTC)
        done_by_movie.setdefault(event.movie_id, []).append(
            f"{event.type}{value}{back}, {when:%Y-%m-%d %H:%M}"
        )
    return done_by_movie


def _text(value: Any) -> str | None:
    return None if value is None or pd.isna(value) else str(value)
