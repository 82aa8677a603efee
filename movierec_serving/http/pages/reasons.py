"""Sentences that say why a movie is on a list, and what made the list."""

from collections.abc import Mapping, Sequence
from typing import Any

from movierec_serving.http.pages.cards import Card, title_and_year
from movierec_serving.http.pages.rendering import texts


def because(item: dict[str, Any]) -> str:
    """Name what speaks most for a movie: a liked one, or genres; nothing where neither does."""
    home, genres = texts().home, item.get("because_of_genres")
    if genres:
        return str(home.because_genres.format(genres=", ".join(genres)))
    reasons = item.get("because") or []
    if not reasons:
        return ""
    title, _ = title_and_year(reasons[0]["title"])
    return str(home.because_card.format(title=title or reasons[0]["movie_id"]))


def reason(reason: dict[str, Any]) -> tuple[Card, str]:
    """Say how much a liked movie speaks for another one."""
    return Card.of(reason), texts().movie.why_share.format(share=round(100 * reason["share"]))


def common(own: set[str], genres: Sequence[str], rated: bool) -> str:
    """Why a movie is like another one, which somebody rated or nobody did."""
    both = [genre for genre in genres if genre in own]
    movie = texts().movie
    if both:
        return str(movie.both.format(genres=", ".join(both)))
    return str(movie.alike if rated else "")


def made_by(answer: Mapping[str, Any]) -> str:
    """Version, data day and arm of a list."""
    home = texts().home
    made = home.made_by.format(version=answer["model_version"], day=answer["data_until"])
    arm = answer.get("arm")
    return f"{made}, {home.arm.format(arm=arm)}" if arm else str(made)
