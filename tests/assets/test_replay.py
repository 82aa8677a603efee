"""What another share of places for new movies would have brought is told from the log, or not."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from movierec_assets.cli.app import app
from movierec_assets.cli.replay import show_replay
from movierec_assets.defs.shared.actions import actions_since
from movierec_assets.monitoring.replay import (
    CannotTell,
    Lists,
    Replayed,
    lists_of,
    replay,
)
from movierec_serving.bundle import Movie, PublishedModel, publish
from movierec_serving.bundle.exploration import drawn
from movierec_serving.events import Event
from movierec_serving.events.shown import ShownLog
from movierec_serving.http.recommender import Recommender
from movierec_serving.http.schemas.requests import Options
from movierec_serving.model.holder import ModelHolder
from tests.conftest import Platform
from tests.support import sample_models as models

DAY, OTHER = "1998-03-02", "1998-03-03"
COUNTS = ("lists", "shown", "hit", "taken_up", "liked", "disliked")


def of_two_places(*counts: tuple[tuple[int, int], int, int], share: float = 0.5) -> Lists:
    """Lists of two places, each of another user: (draw, lists, of them taken up)."""
    draws = np.array([draw for draw, lists, _ in counts for _ in range(lists)], bool)
    hit = [int(number < hits) for _, lists, hits in counts for number in range(lists)]
    rows = pd.DataFrame(dict.fromkeys(COUNTS, hit)).assign(lists=1, shown=2)
    n = len(rows)
    mixed = np.random.default_rng(1).permutation(n)
    return Lists(mixed, np.full(n, share), draws, np.ones_like(draws), rows)


def answered(lists: Lists, share: float, rate: str = "hit_rate") -> Replayed:
    answer = replay(lists, rate, share)
    assert isinstance(answer, Replayed), answer
    return answer


def test_each_draw_counts_as_often_as_the_other_share_would_have_made_it() -> None:
    # A quarter in place of a half: no place 1.5 x 1.5, one place 1.5 x 0.5, both 0.5 x 0.5.
    lists = of_two_places(
        ((0, 0), 160, 64), ((0, 1), 100, 20), ((1, 0), 100, 60), ((1, 1), 100, 80)
    )
    answer = answered(lists, 0.25)
    gained = 2.25 * 64 + 0.75 * 20 + 0.75 * 60 + 0.25 * 80
    assert answer.shown.middle == pytest.approx(224 / 460)
    assert answer.ips.middle == pytest.approx(gained / 460)
    assert answer.snips.middle == pytest.approx(gained / (360 + 75 + 75 + 25))
    assert answered(lists, 0.25, "ctr").ips.middle == pytest.approx(gained / 920)
    assert lists.effective(0.25) == pytest.approx(460 / (0.75**2 / 0.5 + 0.25**2 / 0.5) ** 2)
    # Their own share is no change.
    same = answered(lists, 0.5)
    assert (same.ips, same.snips) == (same.shown, same.shown)


def test_what_places_bring_is_learned_where_the_draws_fell_unevenly() -> None:
    """The first place, if drawn, is always taken up, and nothing else is: 1 of 4 lists would be."""
    lists = of_two_places(
        ((0, 0), 400, 0), ((0, 1), 100, 0), ((1, 0), 100, 100), ((1, 1), 100, 100)
    )
    answer = answered(lists, 0.25)
    assert answer.ips.middle < 0.15  # far too few lists had it drawn
    assert answer.dr.middle == pytest.approx(0.25, abs=0.02)
    assert answer.more.middle == pytest.approx(0.25 - 200 / 700, abs=0.02)


def test_places_that_act_on_each_other_mislead_no_estimator() -> None:
    """One new movie is welcome and two are not, which no sum over places can say."""
    rng = np.random.default_rng(2)
    draws = rng.random((60_000, 2)) < 0.3
    hit = (rng.random(len(draws)) < np.array([0.2, 0.6, 0.0])[draws.sum(axis=1)]).astype(int)
    rows = pd.DataFrame(dict.fromkeys(COUNTS, hit)).assign(lists=1, shown=2)
    lists = Lists(np.arange(60_000), np.full(60_000, 0.3), draws, np.ones_like(draws), rows)
    answer = answered(lists, 0.5)
    for estimate in (answer.ips, answer.snips, answer.dr):
        assert estimate.middle == pytest.approx(0.25 * 0.2 + 0.5 * 0.6, abs=0.012)


def test_it_cannot_tell_from_few_users_few_lists_or_few_actions() -> None:
    def why(lists: Lists, share: float) -> str:
        answer = replay(lists, "hit_rate", share)
        assert isinstance(answer, CannotTell)
        return answer.why

    many = of_two_places(((0, 0), 300, 100), ((1, 0), 300, 100), share=0.1)
    alone = Lists(many.user % 19, many.share, many.drawn, many.there, many.rows)
    assert why(alone, 0.2).startswith("19 users were shown such lists, 20 are needed")
    # A share of 0.5 needs pairs of new movies, which are rare: that none came yet tells nothing.
    assert why(many, 0.5).startswith(
        "what was shown is worth 78 lists of share 0.5, 200 are needed"
    )
    assert "worth 18 lists with such an action" in why(of_two_places(((0, 0), 900, 20)), 0.4)


def test_a_list_whose_places_are_not_those_of_its_draw_is_left_out() -> None:
    """Its probability is not known."""
    id_ = f"4-{'7' * 24}"
    places = [place + 1 for place in drawn("7" * 24, 0.3, 10)]
    assert len(places) > 1
    rows = pd.DataFrame({"recommendation_id": [id_], "user_id": ["u"], "places": [10]})

    def kept(*written: int, share: float = 0.3) -> int:
        explored = json.dumps({"share": share, "places": written})
        return len(lists_of(rows.assign(explored=explored)))

    assert kept(*places) == 1
    assert kept(*places[:1]) == 1  # there was one new movie
    assert kept(*places[1:]) == 0
    assert kept(*places, share=0.01) == 0


def test_a_place_that_a_list_does_not_have_says_nothing() -> None:
    token, short = "7" * 24, drawn("7" * 24, 0.3, 2)
    explored = json.dumps({"share": 0.3, "places": [place + 1 for place in short]})
    rows = {"recommendation_id": [f"4-{token}"], "user_id": ["u"], "places": [2]}
    lists = lists_of(pd.DataFrame({**rows, "explored": [explored]}))
    likelier = (0.2 / 0.3) ** len(short) * (0.8 / 0.7) ** (2 - len(short))
    assert lists.weights(0.2) == pytest.approx([likelier])
    assert lists.effective(0.2) == pytest.approx(1 / (0.2**2 / 0.3 + 0.8**2 / 0.7) ** 2)


def listed(user: str, hour: int, *movies: str, **more: Any) -> dict[str, Any]:
    explored = json.dumps({"share": 0.1, "places": []})
    at = pd.Timestamp(f"{DAY} {hour:02}:00:00.25")
    return {
        "recommendation_id": f"4-{user}-{hour}",
        "user_id": user,
        "version": 4,
        "arm": None,
        "arm_failed": False,
        "shown_at": at,
        "source": "als",
        "reason": None,
        "skipped": 0,
        "ms": 0.1,
        "movies": list(movies),
        "drafted": None,
        "explored": explored,
        **more,
    }


def test_an_action_is_credited_to_the_last_list_that_showed_the_movie(platform: Platform) -> None:
    lists = [
        listed("u1", 8, "m1", "m2", "m3", "m4"),
        listed("u1", 9, "m2", "m3", "m5", "m4"),
        listed("u1", 10, "m2", explored=None),  # by another rule
        listed("u1", 11, "m1", skipped=10),
        listed("u2", 9, "m1"),
    ]
    platform.warehouse.record_shown(DAY, pd.DataFrame(lists))
    at = int(pd.Timestamp(DAY).timestamp())

    def event(user: str, movie: str, kind: str, hour: float, value: float | None = None) -> Event:
        return Event.of(user, movie, kind, value, timestamp=at + int(3600 * hour))

    platform.wired.event_log.store.append(
        [
            event("u1", "m1", "like", 12),
            event("u1", "m2", "click", 12),
            event("u1", "m2", "rating", 12, 2.0),
            event("u1", "m3", "play", 8.5, 0.9),
            event("u1", "m4", "like", 13),  # stands beyond the third place
            event("u2", "m1", "click", 8),  # before the list
            event("u2", "m1", "click", 24 * 9),  # too late
        ]
    )
    events = actions_since(platform.wired, DAY)
    rows = platform.warehouse.explored(DAY, OTHER, events, within=7, k=3)
    columns = ["recommendation_id", "shown", "taken_up", "liked", "disliked", "hit"]
    assert rows[columns].to_numpy().tolist() == [
        ["4-u1-8", 3, 2, 1, 0, 1],
        ["4-u1-9", 3, 1, 0, 1, 1],
        ["4-u2-9", 1, 0, 0, 0, 0],
    ]
    assert platform.warehouse.explored(OTHER, OTHER, events, within=7, k=3).empty


def served(platform: Platform, share: float, times: int) -> None:
    """Lists of the endpoint's own code for 38 users, a minute apart, in the table. Three movies are
    new, and whoever sees one takes it up.
    """
    content = models.content(users=40, items=60, factors=3)
    new = {f"new {number}": Movie(f"new {number}", None, ("Drama",)) for number in range(3)}
    models.write(platform.home / "bundle", content)
    store = platform.home / "served"
    publish(platform.home / "bundle", store, 1, {**models.movies(content), **new})
    log = ShownLog(platform.root / "shown", 1.0, lambda lost: None)
    holder = ModelHolder(store, store / ".serving-1", shown=log, explore=share)
    holder.pointer.store(1)
    users = [user for user in content.user_ids if user.startswith("u")]
    for _ in range(times):
        for user in users:
            Recommender(holder, Options(n=10)).for_user(user)
    assert PublishedModel.open(store, 1).unrated is not None
    files = platform.wired.shown_files
    (day,) = files.days()
    shown, torn = files.read(day)
    assert torn == 0
    shown["shown_at"] = pd.Timestamp(DAY) + pd.to_timedelta(range(len(shown)), unit="min")
    platform.warehouse.record_shown(DAY, shown)
    platform.wired.event_log.store.append(
        [
            Event.of(row.user_id, movie, "like", timestamp=int(row.shown_at.timestamp()) + 5)
            for row in shown.itertuples()
            for movie in row.movies
            if movie.startswith("new")
        ]
    )


def test_the_endpoints_own_lists_say_what_another_share_brings(platform: Platform) -> None:
    """Three new movies and more places drawn: the draw counts, not the places that got one."""
    served(platform, 0.3, times=60)
    events = actions_since(platform.wired, DAY)
    rows = platform.warehouse.explored(DAY, DAY, events, within=7, k=10)
    lists = lists_of(rows)
    assert len(lists) == len(rows) > 2000
    assert (
        lists.drawn.sum() > rows["explored"].map(lambda one: len(json.loads(one)["places"])).sum()
    )
    assert answered(lists, 0.2).shown.middle == pytest.approx(1 - 0.7**10, abs=0.03)
    many = np.minimum(np.random.default_rng(3).binomial(10, 0.2, 1_000_000), 3).mean() / 10
    truths = {"hit_rate": (1 - 0.8**10, 0.1), "ctr": (many, 0.03), "like_rate": (many, 0.03)}
    for rate, (truth, six_errors) in truths.items():
        answer = answered(lists, 0.2, rate)
        for estimate in (answer.ips, answer.snips, answer.dr):
            assert estimate.middle == pytest.approx(truth, abs=six_errors)
    printed = io.StringIO()
    shares = [0.2, 0.0]
    assert show_replay(platform.wired, DAY, OTHER, shares, Console(file=printed, width=160))
    text = printed.getvalue()
    assert f"{len(lists):,} lists of 38 users, {DAY} to {OTHER}" in text
    rows_printed = [line.split()[1] for line in text.splitlines() if line.startswith("│")]
    assert rows_printed == list(truths)
    assert "share 0.2, dislike_rate: cannot tell: what was shown is worth 0 lists with such" in text
    assert "share 0, hit_rate, ctr, like_rate, dislike_rate: cannot tell: " in text
    assert "Of another model's lists the log says nothing" in text


def test_where_nothing_was_explored_it_says_what_to_do(home: Path) -> None:
    asked = ["replay", "--from", DAY, "--to", OTHER, "--share", "0.2"]
    answer = CliRunner().invoke(app, asked)
    assert answer.exit_code == 1
    assert "set MOVIEREC_EXPLORE_SHARE" in answer.output.replace("\n", " ")
    assert CliRunner().invoke(app, [*asked, "--share", "0.6"]).exit_code == 2
    backwards = ["replay", "--from", OTHER, "--to", DAY, "--share", "0.2"]
    answer = CliRunner().invoke(app, backwards, env={"COLUMNS": "300"})
    assert answer.exit_code == 2
    assert f"--from: {OTHER} is after --to {DAY}" in answer.output
