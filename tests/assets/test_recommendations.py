"""What people were shown reaches the warehouse once, and what became of it is counted."""

from __future__ import annotations

import io
import json
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from movierec_assets.cli.explain import explain
from movierec_assets.defs.shared.actions import actions_since
from movierec_assets.errors import LineageError
from movierec_assets.monitoring.outcomes import Rate, rates
from movierec_assets.settings import settings
from movierec_serving.bundle import Bundle, recommend
from movierec_serving.events import Event
from tests.conftest import Platform
from tests.serving.test_thin import THIN, published
from tests.support.generate import as_csv, catalogue, day_start, days_from

DAYS = days_from("1998-03-02", 3)


def shown(platform: Platform, day: str, *lists: dict[str, Any], after: bytes = b"") -> None:
    """As a process of the endpoint writes them."""
    folder = platform.root / "shown" / day
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(one).encode() + b"\n" for one in lists]
    number = len(list(folder.iterdir()))
    (folder / f"1-{number}.jsonl").write_bytes(b"".join(lines) + after + bytes(100))


def listed(user: str, day: str, hour: int, *movies: str, **more: Any) -> dict[str, Any]:
    at = day_start(day) + 3600 * hour + 0.25
    about = {"user_id": user, "at": at, "version": 4, "source": "als", "movies": list(movies)}
    return {"recommendation_id": f"4-{user}-{day}-{hour}", "ms": 0.3, **about, **more}


def rated(user: str, movie: str, stars: float, day: str, hour: int) -> list[str]:
    return [user, movie, str(stars), str(day_start(day) + 3600 * hour)]


def rate_of(platform: Platform, day: str, rate: str, dimension: str = "all") -> Any:
    return platform.query(
        f"""SELECT value, users, middle, until::VARCHAR FROM recommendation_outcomes
            WHERE day = '{day}' AND rate = '{rate}' AND dimension = '{dimension}' ORDER BY value"""
    )


def test_lists_are_ingested_once_and_joined_with_what_followed(platform: Platform) -> None:
    ratings = {
        DAYS[0]: [rated("u1", "m1", 5, DAYS[0], 12), rated("u1", "m2", 5, DAYS[0], 6)],
        DAYS[1]: [rated("u2", "m9", 1, DAYS[1], 12), rated("u3", "m7", 4, DAYS[1], 12)],
        DAYS[2]: [rated("u2", "m8", 3, DAYS[2], 12)],
    }
    platform.landing_zone.deliver_movies(catalogue(10))
    for day, rows in ratings.items():
        platform.landing_zone.deliver(day, as_csv(rows))
    # u1 liked m1 after it was shown, m2 before; u2's m8 stands in no first ten places
    shown(platform, DAYS[0], listed("u1", DAYS[0], 9, "m1", "m2"), after=b'{"recommend')
    shown(
        platform,
        DAYS[0],
        listed("u2", DAYS[0], 9, "m9", "m3", arm="b", source="popular", reason="unknown_user"),
        listed("u2", DAYS[0], 10, "m8", arm="b", source="popular", offset=10),
        {key: value for key, value in listed("", DAYS[0], 9, "m1").items() if key != "user_id"},
    )
    shown(platform, DAYS[1], listed("u1", DAYS[1], 9, "m2", "m1"), listed("u3", DAYS[1], 9, "m7"))
    assert platform.run("-", job="catalogue").success
    stages = ("raw_ratings", "validated_ratings", "recommendation_log")
    assert platform.run(DAYS[0], DAYS[2], *stages).success
    assert platform.run(DAYS[0], DAYS[1], *stages).success  # again, with what there is

    (first, second, third, *again) = platform.events("recommendation_log")
    assert [
        first.metadata[key].value for key in ("dagster/row_count", "new lists", "torn lines")
    ] == [4, 4, 1]
    assert [one.metadata["new lists"].value for one in again] == [0, 0]
    assert third.metadata["note"].value == "nobody was shown a list on this day"
    assert "all days" in third.metadata
    assert platform.query(
        "SELECT count(*), count(DISTINCT recommendation_id) FROM recommendation_log"
    ) == [(6, 6)]

    # the last run ended with the second day, so that it is until when actions are counted
    assert rate_of(platform, DAYS[0], "hit_rate") == [("all", 2, 1.0, DAYS[1])]
    assert rate_of(platform, DAYS[0], "ctr") == [("all", 2, 0.5, DAYS[1])]
    assert rate_of(platform, DAYS[0], "like_rate", "arm") == [
        ("b", 1, 0.0, DAYS[1]),
        ("none", 1, 0.5, DAYS[1]),
    ]
    assert rate_of(platform, DAYS[0], "dislike_rate", "source") == [
        ("als", 1, 0.0, DAYS[1]),
        ("popular", 1, 0.5, DAYS[1]),
    ]
    assert rate_of(platform, DAYS[0], "coverage") == [("all", 2, 0.4, DAYS[1])]
    # the order is no news: u1's list has the same movies as the day before
    assert rate_of(platform, DAYS[1], "repeated") == [("all", 1, 1.0, DAYS[1])]
    assert second.metadata["hit_rate"].value == 0.5


def test_events_count_for_the_lists_that_they_followed(platform: Platform) -> None:
    """Taken back or before the list, they count for none; a dismissal is no hit."""
    platform.deliver(DAYS[0])
    users = [f"u{number}" for number in range(5)]
    shown(platform, DAYS[0], *(listed(user, DAYS[0], 9, "new") for user in users))
    noon = day_start(DAYS[0]) + 12 * 3600
    store = platform.wired.event_log.store
    store.append(
        [
            Event.of("u0", "new", "click", timestamp=noon),
            Event.of("u1", "new", "like", timestamp=noon),
            Event.of("u2", "new", "dismiss", timestamp=noon),
            Event.of("u3", "new", "play", 0.9, timestamp=noon - 6 * 3600),
            Event.of("u4", "new", "rating", 5.0, timestamp=noon, event_id="regretted"),
        ]
    )
    store.remove("regretted")
    stages = ("raw_ratings", "validated_ratings", "recommendation_log")
    assert platform.run(DAYS[0], DAYS[0], *stages).success
    rates = ("hit_rate", "ctr", "like_rate", "dislike_rate")
    found = [rate_of(platform, DAYS[0], rate)[0][2] for rate in rates]
    assert found == pytest.approx([0.4, 0.4, 0.2, 0.2])


def drafted(version: int, production: list[int], pairs: list[int], **more: Any) -> dict[str, Any]:
    """As a list is written down that was drafted from two arms."""
    about = {"source": "als", "ms": 0.1}
    parts = [
        {"arm": "production", "version": version, "places": production, **about},
        {"arm": "pairs", "version": 9, "places": pairs, **about, **more},
    ]
    return {"arm": "interleaved", "drafted": parts, "version": version}


def test_what_is_taken_up_from_a_list_of_two_arms_is_its_arms(platform: Platform) -> None:
    shown(
        platform,
        DAYS[0],
        listed("u1", DAYS[0], 8, "m1", "m2", "m3", **drafted(4, [2], [3])),
        # what she did moved m3 to the other arm; it stays with the one that showed it first
        listed("u1", DAYS[0], 9, "m3", "m4", **drafted(4, [1], [2], reason="unknown_user")),
        listed("u2", DAYS[0], 8, "m5", "m6", **drafted(4, [2], [1])),
        listed("u2", DAYS[0], 9, "m7", offset=2, **drafted(4, [1], [])),
        listed("u3", DAYS[0], 8, "m1", arm="pairs", arm_failed=True),
        listed("u4", DAYS[0], 8, "m1", "m2", arm="production"),
    )
    day = [rated("u1", f"m{number}", 5, DAYS[0], 12) for number in range(1, 5)]
    day += [rated("u2", "m6", 1, DAYS[0], 12), rated("u2", "m7", 4, DAYS[0], 12)]
    day += [rated("u3", "m1", 5, DAYS[0], 12)]
    platform.landing_zone.deliver(DAYS[0], as_csv(day))
    stages = ("raw_ratings", "validated_ratings", "recommendation_log")
    assert platform.run(DAYS[0], DAYS[0], *stages).success

    nothing = actions_since(platform.wired, DAYS[0])
    found = platform.warehouse.credits(DAYS[0], DAYS[0], nothing, within=7, k=10)
    sides = found.set_index(["user_id", "side"])[["taken_up", "liked", "disliked"]]
    assert sides.sort_index().reset_index().to_numpy().tolist() == [
        ["u1", "both", 1, 1, 0],
        ["u1", "pairs", 2, 2, 0],
        ["u1", "production", 1, 1, 0],
        ["u2", "pairs", 0, 0, 0],
        ["u2", "production", 2, 1, 1],
    ]
    lists = platform.warehouse.lists_by_arm(DAYS[0], DAYS[0]).set_index("arm").round(2)
    assert lists[["fallbacks", "failures", "firsts"]].to_dict("index") == {
        "pairs": {"fallbacks": 0.2, "failures": 0.2, "firsts": 1},
        "production": {"fallbacks": 0, "failures": 0, "firsts": 1},
    }


def test_lists_are_kept_while_events_cannot_be_read_and_the_rates_wait(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.deliver(DAYS[0])
    shown(platform, DAYS[0], listed("u1", DAYS[0], 9, "m1"))
    stages = ("raw_ratings", "validated_ratings", "recommendation_log")
    monkeypatch.setenv("MOVIEREC_EVENTS_URL", "postgresql://127.0.0.1:1/nobody?connect_timeout=1")
    settings.cache_clear()
    assert platform.run(DAYS[0], DAYS[0], *stages).success
    (event,) = platform.events("recommendation_log")
    assert event.metadata["dagster/row_count"].value == 1
    assert event.metadata["note"].value.startswith("the rates wait: ")
    assert rate_of(platform, DAYS[0], "hit_rate") == []
    monkeypatch.delenv("MOVIEREC_EVENTS_URL")
    settings.cache_clear()
    assert platform.run(DAYS[0], DAYS[0], "recommendation_log").success
    assert rate_of(platform, DAYS[0], "hit_rate")[0][1] == 1


def test_the_log_is_kept_as_long_as_the_setting_says(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_KEEP_SHOWN_DAYS", "1")
    settings.cache_clear()
    platform.deliver(*DAYS)
    for day in DAYS:
        shown(platform, day, listed("u1", day, 9, "m1"))
    assert platform.run(
        DAYS[0], DAYS[2], "raw_ratings", "validated_ratings", "recommendation_log"
    ).success
    days = platform.query("SELECT day::VARCHAR FROM recommendation_log ORDER BY day")
    assert days == [(DAYS[1],), (DAYS[2],)]
    assert platform.wired.shown_files.days() == DAYS[1:]
    assert rate_of(platform, DAYS[0], "hit_rate") != []


def test_a_list_is_explained_from_the_files_and_from_the_table(platform: Platform) -> None:
    platform.deliver(*DAYS)
    assert platform.run("-", job="catalogue").success
    assert platform.run(DAYS[0]).success
    bundle = Bundle.open(platform.bundle_store.served(platform.model_registry.get(1).identity))
    user = next(
        u for u in map(bundle.user_id, range(60)) if len(bundle.seen(bundle.user_row(u))) > 5
    )
    (items,), _ = recommend(bundle, [bundle.user_row(user)], 3)
    movies = [bundle.item_id(int(item)) for item in items]
    explored = {"share": 0.1, "places": [2]}
    best = listed(user, DAYS[1], 9, *movies, version=1, explored=explored)
    shown(platform, DAYS[1], best)
    before = printed(platform, best["recommendation_id"])
    assert f"to {user}: als, by version 1" in before
    ratings = [rated(user, movies[1], 4.5, DAYS[1], 10), rated("u1", "m1", 3, DAYS[1], 10)]
    platform.landing_zone.deliver(DAYS[1], as_csv(ratings))
    assert platform.run(DAYS[1]).success
    platform.wired.shown_files.remove("2000-01-01")  # the table has it now
    places = "explored->>'share', explored->>'$.places[0]'"
    assert platform.query(f"SELECT {places} FROM recommendation_log") == [("0.1", "2")]
    after = printed(platform, best["recommendation_id"])
    for text in (before, after):
        rows = [line.split("│") for line in text.splitlines() if line.startswith("│")]
        assert [row[2].strip() for row in rows] == movies
        assert all("(1999)" in row[4] for row in rows)  # the titles of what they liked
    assert "4.5 stars, 1998-03-03 10:00" in after.splitlines()[5]
    with pytest.raises(LineageError, match="MOVIEREC_SHOWN_SHARE"):
        printed(platform, "1-nothing")


def test_a_movie_of_few_ratings_is_explained_by_its_genres(platform: Platform) -> None:
    bundle = published(platform.root).bundle
    user = next(row for row in range(1, 12) if THIN not in bundle.seen(row))
    thin, other = bundle.item_id(THIN), bundle.item_id(1)
    best = listed(bundle.user_id(user), DAYS[0], 9, other, thin, version=1)
    shown(platform, DAYS[0], best)
    text = printed(platform, best["recommendation_id"])
    rows = [line.split("│") for line in text.splitlines() if line.startswith("│")]
    assert ["its genres (Horror)" in row[4] for row in rows] == [False, True]


def printed(platform: Platform, recommendation_id: str) -> str:
    console = Console(file=io.StringIO(), width=200)
    explain(platform.wired, recommendation_id, console)
    return console.file.getvalue()


def user_days(users: int, taken_up: int, days: int = 1) -> pd.DataFrame:
    """Each user is shown 10 movies a day, and so many users take one up each day."""
    rows = [
        {
            "user_id": f"u{user}",
            "version": "4",
            "arm": "none",
            "source": "als",
            "segment": "new",
            "shown": 10,
            "taken_up": int(user < taken_up),
            "liked": 0,
            "disliked": 0,
            "hit": int(user < taken_up),
            "has_earlier": False,
            "repeated": False,
        }
        for user in range(users)
        for _ in range(days)
    ]
    return pd.DataFrame(rows)


def rate_named(found: list[Rate], name: str) -> Rate:
    return next(one for one in found if (one.dimension, one.rate) == ("all", name))


def test_an_interval_is_over_users_and_not_over_their_days() -> None:
    nothing = pd.DataFrame(columns=["version", "arm", "source", "movies"])
    once, often = (rates(user_days(100, 30, days), nothing, 50) for days in (1, 9))
    assert rate_named(once, "hit_rate").middle == rate_named(often, "hit_rate").middle == 0.3
    hit_rates = [rate_named(found, "hit_rate") for found in (once, often)]
    widths = [one.high - one.low for one in hit_rates]
    assert widths[1] == pytest.approx(widths[0])  # the same person nine times is one person
    assert widths[0] == pytest.approx(2 * 1.96 * (0.3 * 0.7 / 99) ** 0.5, rel=1e-6)


def test_too_few_to_tell_is_said() -> None:
    nothing = pd.DataFrame(columns=["version", "arm", "source", "movies"])
    few = rate_named(rates(user_days(19, 9), nothing, 50), "hit_rate")
    rare = rate_named(rates(user_days(500, 4), nothing, 50), "hit_rate")
    assert (few.low, rare.low) == (None, None)
    assert str(few) == "47.4% of 19 users, too few to tell"
    assert str(rate_named(rates(user_days(500, 50), nothing, 50), "ctr")).startswith(
        "1.0% (0.7% to"
    )
