"""An experiment on the product: started, served, renewed daily, analysed, and concluded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest
from pydantic import ValidationError

from movierec_assets.monitoring.experiments import Look, sentence, wrong_metric, wrong_shares
from movierec_assets.settings import Settings, settings
from movierec_serving.bundle import Bundle
from movierec_serving.events.shown import days_shown, read_shown
from tests.assets.test_recommendations import listed, printed, rated, shown
from tests.conftest import RUNS, Platform
from tests.support.endpoint_process import TOKEN, EndpointProcess
from tests.support.generate import as_csv, day_start, days_from, ratings_of_day

DAYS = days_from("1998-03-02", 4)
SIZE = {"users": 120, "movies": 120, "ratings": 1500}
POLICIES = {"wide": {"model": "als", "factors": 24}, "pairs": {"model": "ease"}}
SHARES = {"production": 0.4, "wide": 0.4, "popular": 0.2}


@pytest.fixture
def endpoint(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[EndpointProcess]:
    process = EndpointProcess(platform.home)
    monkeypatch.setenv("MOVIEREC_ENDPOINTS", process.url)
    monkeypatch.setenv("MOVIEREC_RELOAD_TOKEN", TOKEN)
    monkeypatch.setenv("MOVIEREC_POLICIES", json.dumps(POLICIES))
    settings.cache_clear()
    try:
        yield process.start()
    finally:
        process.close()


def run(platform: Platform, job: str, op: str, **config: Any) -> dg.JobExecutionResult:
    return dg.execute_job(
        dg.build_reconstructable_job("tests.support.jobs", "job_named", (job, next(RUNS))),
        platform.instance,
        run_config={"ops": {op: {"config": config}}},
    )


def failure(result: dg.JobExecutionResult) -> str:
    assert not result.success
    (event,) = [one for one in result.all_events if one.is_step_failure]
    return str(event.step_failure_data.user_failure_data.description)


def begin(platform: Platform, **changed: Any) -> dg.JobExecutionResult:
    config = {"name": "wider", "shares": SHARES, "reason": "more factors?", "day": DAYS[2]}
    return run(platform, "start_experiment", "start", **{**config, **changed})


def factors_of(platform: Platform, identity: str) -> Any:
    bundle = Bundle.open(platform.bundle_store.served(identity))
    return bundle.manifest.parameters["factors"]


def test_an_experiment_from_its_start_to_its_conclusion(
    platform: Platform, endpoint: EndpointProcess
) -> None:
    platform.deliver(*DAYS[:2], **SIZE)
    users = [f"u{number}" for number in range(120)]
    # the past, from which a plan is made: every user was shown a movie, which some then rated
    past = [listed(user, DAYS[1], 0, f"m{n % 90}") for n, user in enumerate(users)]
    shown(platform, DAYS[1], *past)
    assert platform.run(DAYS[0], DAYS[1]).success
    assert platform.run("-", job="deploy").success
    notes = [event.metadata["note"].value for event in platform.events("experiment_arms")]
    assert set(notes) == {"no experiment is under way"}

    assert begin(platform).success
    assert "wider is under way" in failure(begin(platform, name="another"))
    assert "metric: hit_rate" in failure(begin(platform, effect=0.2))
    trial = platform.warehouse.running()
    assert trial is not None
    assert trial.information != 10_000  # it was planned
    first = endpoint.client.get("/model").json()["experiment"]
    named = [(arm["name"], arm["share"]) for arm in first["arms"]]
    assert named == [("production", 0.4), ("popular", 0.2), ("wide", 0.4)]
    own = first["arms"][2]["version"]
    arms = {user: trial.experiment.arm_of(user).name for user in users}  # type: ignore[union-attr]
    for user in users[:20]:
        answer = endpoint.client.get(f"/recommend/{user}").json()
        assert answer["arm"] == arms[user]
        assert answer["model_version"] == (own if arms[user] == "wide" else 2)

    # those in `wide` rate what they were shown, of the others every other one
    day, lists = ratings_of_day(DAYS[2], **SIZE), []
    for number, user in enumerate(users):
        lists.append(listed(user, DAYS[2], 0, f"new{number}", arm=arms[user], version=2))
        if arms[user] == "wide" or number % 2:
            day.append(rated(user, f"new{number}", 5, DAYS[2], 1))
    shown(platform, DAYS[2], *lists)
    platform.landing_zone.deliver(DAYS[2], as_csv(day))
    assert platform.run(DAYS[2]).success
    second = endpoint.client.get("/model").json()["experiment"]
    assert second["arms"][2]["version"] > own  # as fresh as production
    said = platform.events("experiment_results")[-1].metadata
    assert "wide: hit_rate +" in said["what to do"].value
    assert "every day" in said
    ((middle, low, high),) = platform.query(
        "SELECT middle, low, high FROM experiment_results WHERE arm = 'wide'"
    )
    assert low < middle < high
    assert middle == pytest.approx(0.5, abs=0.15)

    lost = run(platform, "conclude_experiment", "conclude", winner="popular", reason="simple")
    assert "MOVIEREC_MODEL" in failure(lost)
    won = run(platform, "conclude_experiment", "conclude", winner="wide", reason="it is better")
    assert won.success
    assert endpoint.client.get("/model").json()["experiment"] is None
    production = platform.model_registry.production()
    assert production.gate == "passed"
    assert factors_of(platform, production.identity) == 24
    assert factors_of(platform, platform.warehouse.models()[DAYS[2]].identity) == 24
    (ended,) = platform.warehouse.trials()
    assert ended.conclusion == "concluded with wide: it is better"
    assert "give this one another name" in failure(begin(platform))
    platform.deliver(DAYS[3], **SIZE)
    assert platform.run(DAYS[3], DAYS[3], "raw_ratings", "validated_ratings", "als_model").success
    # the day after goes on from the winner, by its parameters
    model = platform.warehouse.models()[DAYS[3]]
    assert (model.fit, model.parent, factors_of(platform, model.identity)) == (
        "warm",
        production.identity,
        24,
    )


def test_shares_that_cannot_be_given_are_refused() -> None:
    trained = ["ease"]
    assert wrong_shares({"production": 0.5, "ease": 0.5}, trained) is None
    for shares, said in (
        ({"production": 1.0}, "one arm at least"),
        ({"ease": 0.5, "popular": 0.5}, "production and one arm"),
        ({"production": 0.5, "pears": 0.5}, "pears is not trained; there are ease, popular"),
        ({"production": 0.6, "ease": 0.5}, "together at most 1"),
        ({"production": 0.6, "ease": 0.0}, "each above 0"),
    ):
        assert said in str(wrong_shares(shares, trained))
    assert "none of hit_rate" in str(wrong_metric("clicks"))


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ('{"als": {"factors": 8}}', "none of"),
        ('{"wide": {"factor": 8}}', "factor is none of"),
        ('{"wide": {"factors": 0}}', "greater than or equal to 1"),
        ('{"wide": {"model": "svd"}}', "'als', 'ease' or 'spark_als'"),
    ],
)
def test_a_policy_that_cannot_be_trained_is_refused(policies: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings(policies=policies)  # type: ignore[arg-type]


def test_what_is_said_of_an_experiment_is_what_there_is() -> None:
    control = Look("production", 900, 0.2, None, None, None, 0.5, 0.02, 0.01, 0.0, 0.3)
    arm = replace(control, arm="wide", mean=0.22, middle=0.02, low=0.004, high=0.036)
    cases = {
        "it is better": arm,
        "it is worse": replace(arm, low=-0.05, high=-0.01),
        "5% more is ruled out": replace(arm, low=-0.01, high=0.009),
        "not known yet": replace(arm, low=-0.01, high=0.03),
        "too few users": replace(arm, low=None, middle=None, high=None),
        "was broken for 10.0%": replace(arm, failures=0.1),
        "fell back for 9.0%": replace(arm, fallbacks=0.09),
        "disliked more": replace(arm, dislikes=0.03),
        "3.0 ms a list": replace(arm, ms=3.0),
    }
    for said, look in cases.items():
        assert said in sentence([control, look], "hit_rate", 0.05, False), said
    assert "as many days as planned" in sentence(
        [control, cases["not known yet"]], "hit_rate", 0.05, True
    )
    broken = [replace(one, mismatch=1e-5) for one in (control, arm)]
    assert sentence(broken, "hit_rate", 0.05, False).startswith("Nothing can be said: users did")
    assert "the arms did not begin as many lists" in sentence(
        broken, "hit_rate", 0.05, False, drafted=True
    )


def test_an_interleaved_experiment_from_its_start_to_its_conclusion(
    platform: Platform, endpoint: EndpointProcess
) -> None:
    platform.deliver(*DAYS[:2], **SIZE)
    users = [f"u{number}" for number in range(120)]
    shown(platform, DAYS[1], *(listed(user, DAYS[1], 0, "m1") for user in users))
    assert platform.run(DAYS[0], DAYS[1]).success
    assert platform.run("-", job="deploy").success
    both = {"production": 0.4, "pairs": 0.4}
    assert "of two arms alone" in failure(begin(platform, interleave=True))
    assert begin(platform, interleave=True, shares=both).success
    assert "interleave: True" in failure(begin(platform, shares=both))
    trial = platform.warehouse.running()
    assert trial is not None

    # lists as the endpoint showed them, moved to the day; everybody likes what is the arm's alone
    for user in users:
        answer = endpoint.client.get(f"/recommend/{user}").json()
        inside = trial.experiment.arm_of(user) is not None
        assert answer.get("arm") == ("interleaved" if inside else None)
    today = days_shown(platform.root / "shown")[-1]
    lines = [line for _, ones, _ in read_shown(platform.root / "shown", today) for line in ones]
    day, lists = ratings_of_day(DAYS[2], **SIZE), []
    for line in lines:
        lists.append({**line, "at": day_start(DAYS[2]) + 0.25})
        if "drafted" in line:
            (production, pairs) = line["drafted"]
            assert (production["arm"], pairs["arm"]) == ("production", "pairs")
            liked = [line["movies"][place - 1] for place in pairs["places"]]
            day += [rated(line["user_id"], movie, 5, DAYS[2], 1) for movie in liked]
    shown(platform, DAYS[2], *lists)
    platform.landing_zone.deliver(DAYS[2], as_csv(day))
    assert platform.run(DAYS[2]).success
    drafted = {line["user_id"]: line for line in lines if "drafted" in line}
    results = platform.query(
        "SELECT arm, users, mean, middle, low, mismatch FROM experiment_results ORDER BY arm DESC"
    )
    (_, came, mean, *_), (_, _, other, middle, low, mismatch) = results
    assert came == len(drafted)
    assert other - mean == pytest.approx(middle)
    assert low > 0
    assert mismatch > 0.001
    said = platform.events("experiment_results")[-1].metadata["what to do"].value
    assert said.startswith("pairs's movies are preferred to production's by +")
    assert "it is better. Conclude with it." in said

    one = next(line for line in drafted.values() if line["drafted"][1]["places"])
    text = printed(platform, one["recommendation_id"])
    assert "arm interleaved" in text
    of_pairs = [row for row in text.splitlines() if ", pairs " in row]
    assert len(of_pairs) == len(one["drafted"][1]["places"])
    assert all("5 stars" in row for row in of_pairs)
    assert all(row.split("│")[4].strip() for row in of_pairs)  # the reasons, by its own version
    lost = run(platform, "conclude_experiment", "conclude", winner="pairs", reason="liked")
    assert "MOVIEREC_MODEL" in failure(lost)
    won = run(platform, "conclude_experiment", "conclude", winner="production", reason="simpler")
    assert won.success
    assert "arm" not in endpoint.client.get(f"/recommend/{next(iter(drafted))}").json()
