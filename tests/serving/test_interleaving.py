"""One list of two arms: drafted fairly, the same each time, and written down place by place."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from movierec_serving.bundle.drafting import draft
from movierec_serving.bundle.experiment import Arm, Experiment
from movierec_serving.bundle.ranking import Ranking
from movierec_serving.events.shown import ShownLog, days_shown, read_shown
from movierec_serving.http.paging import place_of, question
from movierec_serving.http.recommender import Recommender
from movierec_serving.http.schemas.requests import Options
from movierec_serving.model.holder import ModelHolder
from tests.support import sample_models as models

PAIR = (Arm(name="production"), Arm(name="other", version=2))
USERS = [f"u{number}" for number in range(10)]


def interleaved(arms: tuple[Arm, ...] = PAIR, share: float = 0.5) -> Experiment:
    shares = {arm.name: share for arm in arms}
    return Experiment.of("test", "salt of a test", arms, shares, interleave=True)


def answer(holder: ModelHolder, user: str, **options: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        Recommender(holder, Options(**{"n": 5, **options})).for_user(user).body
    )
    return content


def ids(content: dict[str, Any]) -> list[str]:
    return [item["movie_id"] for item in content["items"]]


def written(folder: Path) -> dict[str, dict[str, Any]]:
    lines = [line for _, ones, _ in read_shown(folder, days_shown(folder)[0]) for line in ones]
    return {line["recommendation_id"]: line for line in lines}


def test_a_round_has_the_next_movie_of_each_whatever_the_coin_says() -> None:
    one, other = list("abcdef"), list("axbcyz")
    drafts = {tuple(draft(one, other, 4, str(seed))) for seed in range(200)}
    assert drafts == {
        (("a", None), *turns)  # both have it at the top
        for turns in (
            (("b", 0), ("x", 1), ("c", None)),
            (("x", 1), ("b", 0), ("c", None)),
        )
    }
    assert draft(one, other, 4, "seed") == draft(one, other, 4, "seed")
    # each gets its turn, also if the first one's movie leaves both with the same one next
    turns = {frozenset(draft(list("aybc"), list("ybad"), 2, str(seed))) for seed in range(50)}
    assert turns == {frozenset({("a", 0), ("y", 1)})}
    # nobody has a choice where one ranking has ended
    assert dict(draft(["a"], ["b", "c"], 5, "")) == {"a": 0, "b": 1, "c": None}
    assert draft([], [], 3, "") == []


@pytest.mark.parametrize("n", [5, 10])
def test_whoever_takes_movies_up_by_their_place_alone_prefers_neither_ranking(n: int) -> None:
    random, movies = np.random.default_rng(1), [str(number) for number in range(14)]
    lead = np.zeros(n)
    for seed in range(4000):
        # one ranking likes popular movies, the other one is nearly without order
        one = sorted(movies, key=lambda movie: int(movie) + random.normal(0, 2))
        other = random.permutation(movies).tolist()
        for place, (_, side) in enumerate(draft(one, other, n, f"seed {seed}")):
            lead[place] += {0: -1, 1: 1, None: 0}[side]
    assert np.abs(lead / 4000).max() < 4 / 4000**0.5
    assert abs(lead.sum()) / 4000 < 0.06


def test_a_list_has_movies_of_both_arms_and_the_log_says_whose_each_place_was(
    holder: ModelHolder, tmp_path: Path
) -> None:
    plain = {user: answer(holder, user, n=10, shown=False) for user in USERS}
    holder.arms.follow(interleaved())
    both = set()
    for user in USERS:
        got = answer(holder, user, n=10)
        assert (got["arm"], got["model_version"]) == ("interleaved", 3)
        line = written(tmp_path / "shown")[got["recommendation_id"]]
        control, other = line["drafted"]
        assert [(part["arm"], part["version"]) for part in line["drafted"]] == [
            ("production", 3),
            ("other", 2),
        ]
        assert line["movies"] == ids(got)
        owners = {place: part["arm"] for part in line["drafted"] for place in part["places"]}
        assert abs(len(control["places"]) - len(other["places"])) <= 1
        assert control["ms"] >= 0
        own = [ids(got)[place - 1] for place, arm in owners.items() if arm == "production"]
        assert own == [movie for movie in ids(plain[user]) if movie in own]
        assert answer(holder, user, n=10)["items"] == got["items"]  # the same each time
        both |= {len(control["places"]) > 0, len(other["places"]) > 0}
    assert both == {True}
    assert answer(holder, USERS[0], shown=False)["items"] == plain[USERS[0]]["items"][:5]


def test_many_at_once_get_the_list_that_each_gets_alone(holder: ModelHolder) -> None:
    holder.arms.follow(interleaved(share=0.3))
    experiment = interleaved(share=0.3)
    users = [*USERS, "nobody 1", "nobody 2"]
    together = json.loads(Recommender(holder, Options(n=5)).for_users(users).body)["results"]
    taking_part = [experiment.arm_of(user) is not None for user in users]
    assert {True, False} == set(taking_part)
    for user, inside, got in zip(users, taking_part, together, strict=True):
        alone = answer(holder, user)
        assert (got["items"], got.get("arm")) == (alone["items"], alone.get("arm"))
        assert got.get("arm") == ("interleaved" if inside else None)
        assert ("fallback_reason" in got) == user.startswith("nobody")


def test_pages_go_on_with_the_draft(holder: ModelHolder) -> None:
    holder.arms.follow(interleaved())
    for user in USERS:
        whole = ids(answer(holder, user, n=9))
        pages = [ids(answer(holder, user, n=3, offset=offset)) for offset in (0, 3, 6)]
        assert [movie for page in pages for movie in page] == whole
        assert len(set(whole)) == len(whole)


OTHERWISE = Ranking(popularity_correction=0.9)


@pytest.mark.parametrize(
    "arms",
    [
        (PAIR[0], Arm(name="otherwise", version=3, ranking=OTHERWISE)),
        (Arm(name="one", version=1), Arm(name="other", version=2)),
        (PAIR[0], Arm(name="popular")),
    ],
)
def test_pages_by_token_go_on_whatever_the_arms_are(
    holder: ModelHolder, store: Path, arms: tuple[Arm, ...]
) -> None:
    models.publish_version(store, 1)
    holder.arms.follow(interleaved(arms))
    for user in USERS:
        pages = [page(holder, user, None)]
        for _ in range(2):
            pages.append(page(holder, user, pages[-1]["next_page"]))
        whole = ids(answer(holder, user, n=9))
        assert [movie for one in pages for movie in ids(one)] == whole


def page(holder: ModelHolder, user: str, token: str | None) -> dict[str, Any]:
    asked = question(f"/recommend/{user}", Options())
    recommender = Recommender(holder, Options(n=3), asked, place_of(token, asked))
    content: dict[str, Any] = json.loads(recommender.for_user(user).body)
    return content


@pytest.mark.parametrize("which", ["production", "the arm", "both"])
def test_a_next_page_goes_on_with_the_draft_whatever_was_reloaded(
    holder: ModelHolder, store: Path, which: str
) -> None:
    models.publish_version(store, 1)
    holder.arms.follow(interleaved())
    whole = {user: answer(holder, user, n=9) for user in USERS}
    first = {user: page(holder, user, None) for user in USERS}
    if which != "the arm":
        holder.pointer.store(1)
    if which != "production":
        new = interleaved((PAIR[0], Arm(name="other", version=1)))
        holder.arms.set(new)
    for user in USERS:
        second = page(holder, user, first[user]["next_page"])
        third = page(holder, user, second["next_page"])
        assert ids(first[user]) + ids(second) + ids(third) == ids(whole[user])
        assert second["arm"] == "interleaved"
    holder.arms.set(None)  # then the list goes on as production's
    assert "arm" not in page(holder, USERS[0], first[USERS[0]]["next_page"])


def test_each_movie_is_explained_by_the_arm_whose_place_it_is(
    holder: ModelHolder, tmp_path: Path
) -> None:
    holder.arms.follow(interleaved())
    got = answer(holder, "u1", n=8, explain=True)
    assert all("because" in item for item in got["items"])
    (line,) = written(tmp_path / "shown").values()
    (own, *_) = line["drafted"][1]["places"]
    movie = got["items"][own - 1]
    holder.arms.set(None)
    holder.pointer.store(2)
    alone = answer(holder, "u1", n=8, explain=True)
    assert movie in alone["items"]


def test_popular_movies_may_be_one_of_the_arms_and_more_than_two_are_none(
    holder: ModelHolder, tmp_path: Path
) -> None:
    popular = Arm(name="popular")
    holder.arms.follow(interleaved((PAIR[0], popular)))
    answer(holder, "u1")
    (line,) = written(tmp_path / "shown").values()
    assert [part["source"] for part in line["drafted"]] == ["als", "popular"]
    with pytest.raises(ValidationError, match="two arms can be interleaved"):
        interleaved((*PAIR, popular), 0.3)
    named = Arm(name="interleaved", version=2)
    with pytest.raises(ValidationError, match="none of them named interleaved"):
        interleaved((PAIR[0], named))


def test_an_experiment_is_not_interleaved_halfway(holder: ModelHolder) -> None:
    split = Experiment.of("test", "salt of a test", PAIR, {"production": 0.5, "other": 0.5})
    assert not interleaved().keeps(split)
    assert interleaved(share=0.2).grown({"production": 0.3, "other": 0.3}).interleave
    assert "interleave" not in split.to_json()  # endpoints of before know no such field
    assert Experiment.from_json(interleaved().to_json(), "") == interleaved()


def test_a_broken_arm_is_answered_by_production_alone(holder: ModelHolder, tmp_path: Path) -> None:
    expected = answer(holder, "u1", shown=False)
    holder.arms.follow(interleaved())
    shutil.rmtree(holder.arms._store / "2")
    holder.arms.set(interleaved())  # whoever starts now has nothing open
    log = ShownLog(tmp_path / "again", 1.0, lambda lost: None)
    broken = ModelHolder(holder.arms._store, holder.arms._store / ".serving-1", shown=log)
    got = answer(broken, "u1")
    assert (got["arm"], got["arm_failed"], got["items"]) == ("other", True, expected["items"])
    (line,) = written(tmp_path / "again").values()
    assert (line["arm"], line["arm_failed"], "drafted" in line) == ("other", True, False)
