"""An experiment: each user has one arm, everywhere and to the end, and no arm costs an answer."""

import json
import os
import shutil
import signal
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from movierec_serving.bundle import Ranking
from movierec_serving.bundle.experiment import Arm, Experiment
from movierec_serving.bundle.ranking import Ranker
from movierec_serving.events.shown import days_shown, read_shown
from movierec_serving.http.recommender import Recommender
from movierec_serving.http.schemas.requests import Options
from movierec_serving.model.holder import ModelHolder
from tests.support import sample_models as models
from tests.support.endpoint_process import TOKEN, EndpointProcess, parent_of, wait_for

ADMIN = {"Authorization": f"Bearer {TOKEN}"}
ARMS = (Arm(name="production"), Arm(name="other", version=2), Arm(name="popular"))
USERS = [f"user {number}" for number in range(20_000)]


def experiment(salt: str = "salt of a test", **shares: float) -> Experiment:
    shares = shares or {"production": 0.4, "other": 0.3, "popular": 0.3}
    return Experiment.of("test", salt, [one for one in ARMS if one.name in shares], shares)


def arms(one: Experiment) -> dict[str, str | None]:
    found = {user: one.arm_of(user) for user in USERS}
    return {user: arm.name if arm else None for user, arm in found.items()}


def asked(one: Experiment) -> dict[str, Any]:
    body = json.loads(one.model_dump_json())
    del body["format_version"]
    return body


def answer(holder: ModelHolder, user: str, **options: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        Recommender(holder, Options(n=5, **options)).for_user(user).body
    )
    return content


def test_an_arm_may_make_its_lists_otherwise_from_the_version_that_is_production(
    holder: ModelHolder,
) -> None:
    less_popular = Arm(name="tail", version=3, ranking=Ranking(popularity_correction=0.9))
    pair = (Arm(name="production"), less_popular)
    shares = {"production": 0.3, "tail": 0.7}
    holder.arms.follow(Experiment.of("tail", "salt of a test", pair, shares))
    published = holder.current()
    whole = Ranker(
        published.bundle,
        less_popular.ranking,
        published.catalogue.item_genres,
        published.catalogue.withdrawn,
    )
    differ = 0
    for row in range(len(published.bundle.user_ids)):
        user = published.bundle.user_id(row)
        got = answer(holder, user)
        usual, otherwise = published.top_items[row][:5], whole.of_users([row], 5)[0][0]
        items = otherwise if got["arm"] == "tail" else usual
        expected = [published.bundle.item_id(item) for item in items[items >= 0].tolist()]
        assert [item["movie_id"] for item in got["items"]] == expected
        differ += got["arm"] == "tail" and not np.array_equal(usual, otherwise)
    assert differ > 2


def test_arms_have_their_shares_and_have_nothing_to_do_with_another_experiment() -> None:
    first, second = arms(experiment()), arms(experiment("another salt"))
    counts = {name: list(first.values()).count(name) for name in ("production", "other", "popular")}
    assert [round(count / len(USERS), 2) for count in counts.values()] == [0.4, 0.3, 0.3]
    both = np.mean([first[user] == second[user] == "other" for user in USERS])
    assert both == pytest.approx(0.09, abs=0.01)


def test_a_share_grows_and_nobody_changes_arm() -> None:
    begun = experiment(production=0.1, other=0.1)
    grown = begun.grown({"production": 0.5, "other": 0.2})
    before, after = arms(begun), arms(grown)
    assert grown.shares == {"production": 0.5, "other": 0.2}
    assert grown.keeps(begun)
    assert all(after[user] == arm for user, arm in before.items() if arm is not None)
    assert list(after.values()).count(None) / len(USERS) == pytest.approx(0.3, abs=0.02)
    with pytest.raises(ValueError, match="can grow and not shrink"):
        begun.grown({"production": 0.05, "other": 0.2})
    with pytest.raises(ValueError, match="other: a share of"):
        begun.grown({"production": 0.1, "other": 1.0})


def test_each_user_is_answered_by_their_arm(holder: ModelHolder, tmp_path: Path) -> None:
    users = [f"u{number}" for number in range(10)] + ["nobody 1", "nobody 2", "nobody 3"]
    plain = {user: answer(holder, user) for user in users}
    holder.arms.follow(experiment())
    named = arms(experiment())
    seen = set()
    for user in users:
        got = answer(holder, user)
        arm = experiment().arm_of(user)
        assert arm is not None
        seen.add(arm.name)
        assert got["arm"] == arm.name
        assert got["model_version"] == int(got["recommendation_id"].partition("-")[0])
        if arm.name == "production":
            assert got["items"] == plain[user]["items"]
        if arm.name == "other":
            assert got["model_version"] == 2
        if arm.name == "popular":
            row = holder.current().bundle.user_row(user)
            rated = [] if row is None else holder.current().bundle.seen(row).tolist()
            ids = {holder.current().bundle.item_id(item) for item in rated}
            assert (got["source"], got["model_version"]) == ("popular", 3)
            assert "fallback_reason" not in got
            assert not ids & {item["movie_id"] for item in got["items"]}
        alone = answer(holder, user, shown=False)  # what nobody sees is in no experiment
        assert (alone.get("arm"), alone["items"]) == (None, plain[user]["items"])
    assert seen == {"production", "other", "popular"}
    assert named["user 1"] == experiment().arm_of("user 1").name  # type: ignore[union-attr]

    together = json.loads(Recommender(holder, Options(n=5)).for_users([*users, "", "u1"]).body)
    *lists, wrong, again = together["results"]
    assert "error" in wrong
    for user, got in zip([*users, "u1"], [*lists, again], strict=True):
        one = answer(holder, user)
        assert (got["user_id"], got["arm"], got["items"]) == (user, one["arm"], one["items"])
    folder = tmp_path / "shown"
    lines = [line for _, ones, _ in read_shown(folder, days_shown(folder)[0]) for line in ones]
    shown = {line["recommendation_id"]: line for line in lines}
    assert {shown[got["recommendation_id"]]["arm"] for got in lists} == seen
    assert len(shown) == len(lines) == 13 + 13 + 14 + 13 + 1


def test_a_broken_arm_is_answered_by_production_which_says_so(holder: ModelHolder) -> None:
    whole = experiment(production=0.5, other=0.5)
    user = next(user for user in (f"u{n}" for n in range(9)) if whole.arm_of(user).version)  # type: ignore[union-attr]
    expected = answer(holder, user)
    holder.arms.follow(whole)
    shutil.rmtree(holder.arms._store / "2")
    holder.arms.set(whole)  # whoever starts now has nothing open
    broken = ModelHolder(holder.arms._store, holder.arms._store / ".serving-1")
    got = answer(broken, user)
    assert (got["arm"], got["arm_failed"], got["model_version"]) == ("other", True, 3)
    assert got["items"] == expected["items"]


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[EndpointProcess]:
    process = EndpointProcess(tmp_path)
    for version in (1, 2, 3):
        models.publish_version(process.store, version)
    try:
        process.start().reload(1)
        yield process
    finally:
        process.close()


def test_nobody_changes_arm_under_kills_and_reloads(endpoint: EndpointProcess) -> None:
    """And each answer is of the arm's version, and written down once."""
    begun = experiment(production=0.4, other=0.4)
    said = endpoint.client.put("/experiment", json=asked(begun), headers=ADMIN)
    assert said.status_code == 200, said.text
    assert endpoint.client.get("/model").json()["experiment"] == said.json()["experiment"]
    expected = {user: begun.arm_of(user) for user in USERS[:200]}
    answers: dict[str, list[dict[str, Any]]] = defaultdict(list)
    done = threading.Event()

    def ask(number: int) -> None:
        while not done.is_set():
            with endpoint.another_client() as client:
                for user in USERS[number:200:3]:
                    try:
                        answers[user].append(client.get(f"/recommend/{user}").json())
                    except httpx.TransportError:  # of the process that was killed
                        break

    with ThreadPoolExecutor(3) as pool:
        streams = [pool.submit(ask, number) for number in range(3)]
        for turn in range(4):
            assert endpoint.reload(1 + 2 * ((turn + 1) % 2)).status_code == 200
            pid = endpoint.client.get("/model").json()["pid"]
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda pid=pid: parent_of(pid) is None, "it has ended")
            endpoint.client.close()
            endpoint.client = endpoint.another_client()
            wait_for(endpoint._answers, "it answers again")
        done.set()
        for stream in streams:
            stream.result()
    for user, got in answers.items():
        arm = expected[user]
        assert {one.get("arm") for one in got} == {arm.name if arm else None}
        versions = {one["model_version"] for one in got}
        assert versions <= ({2} if arm and arm.version else {1, 3})
    folder = endpoint.home / "warehouse" / "shown"
    lines = [
        line
        for day in days_shown(folder)
        for _, ones, _ in read_shown(folder, day)
        for line in ones
    ]
    ids = [line["recommendation_id"] for line in lines]
    assert len(set(ids)) == len(ids)
    assert {one["recommendation_id"] for got in answers.values() for one in got} <= set(ids)
    assert endpoint.client.delete("/experiment", headers=ADMIN).json() == {"experiment": None}
    assert "arm" not in endpoint.client.get(f"/recommend/{USERS[0]}").json()


def test_what_an_endpoint_refuses_changes_nothing(endpoint: EndpointProcess) -> None:
    def put(one: Experiment | dict[str, Any]) -> httpx.Response:
        body = asked(one) if isinstance(one, Experiment) else one
        return endpoint.client.put("/experiment", json=body, headers=ADMIN)

    begun = experiment(production=0.2, other=0.2)
    assert endpoint.client.put("/experiment", json=asked(begun)).status_code == 401
    assert put(begun).status_code == 200
    other_salt = put(experiment("another salt", production=0.2, other=0.2))
    assert (other_salt.status_code, "users of it would change arm" in other_salt.text) == (
        409,
        True,
    )
    missing = put(begun.with_versions({"other": 9}))
    assert (missing.status_code, missing.json()["detail"]) == (
        404,
        "other: version 9 is not in the store",
    )
    lists = endpoint.store / "3" / "top_items.npy"
    lists.write_bytes(lists.read_bytes()[:-9])
    damaged = put(begun.with_versions({"other": 3}))
    assert damaged.status_code == 409
    assert damaged.json()["detail"].startswith("other: ")
    assert put({**asked(begun), "pieces": asked(begun)["pieces"][:1] * 2}).status_code == 422
    assert endpoint.client.get("/model").json()["experiment"]["arms"][1]["version"] == 2
    assert put(begun.grown({"production": 0.5, "other": 0.5})).status_code == 200
