"""The generator of ratings that the benchmarks are made on, and what they measure servers with."""

from __future__ import annotations

import asyncio
import importlib
import os
from pathlib import Path

import numpy as np
import pytest

from bench.chaos.points import POINTS, Point
from bench.experiments.replay import BUSY, QUIET, Site
from bench.goals import goal, wilson
from bench.models.generator import Truth, frame, generate, optimal_ndcg
from bench.serving.client import Connection, get, post
from bench.serving.endpoint import tree
from bench.serving.published import BAD, Shape, copy_version, trained_bundle
from movierec_assets.evaluation.offline import evaluate
from movierec_assets.evaluation.splits import temporal_holdout
from movierec_assets.ratings.interactions import interactions_of
from movierec_serving.bundle import BundleError, PublishedModel, publish
from tests.support.models import trained

SIZE = {"users": 300, "movies": 400, "ratings": 12_000, "days": 20}


def test_the_same_seed_gives_the_same_ratings_and_another_gives_others() -> None:
    one, again, other = (frame(generate(**SIZE, seed=seed)) for seed in (3, 3, 4))
    assert one.equals(again)
    assert not one.equals(other)


def test_users_and_movies_arrive_over_time_with_a_long_tail() -> None:
    days = list(generate(**SIZE))
    assert len(np.unique(days[0].movies)) < len(np.unique(days[-1].movies))
    assert days[0].users.max() < days[-1].users.max()
    counts = np.sort(np.bincount(np.concatenate([day.movies for day in days]), minlength=400))[::-1]
    assert counts[:40].sum() > 0.2 * counts.sum()
    for day in days:
        assert (np.diff(day.rated_at) >= 0).all()
        assert set(np.unique(2 * day.stars)) <= set(range(1, 11))


def test_there_is_a_taste_to_learn() -> None:
    data = interactions_of(frame(generate(**SIZE)))
    held = temporal_holdout(data)
    found = evaluate(trained(data.select(~held)), data.select(held)).metrics
    assert found["ndcg_at_10"] > 1.5 * found["popularity_ndcg_at_10"]


def test_whoever_knows_the_truth_ranks_best() -> None:
    data = interactions_of(frame(generate(**SIZE)))
    held = temporal_holdout(data)
    truth = Truth.of(users=300, movies=400, days=20, seed=0, drift=0.0)
    found = evaluate(trained(data.select(~held)), data.select(held)).metrics
    assert optimal_ndcg(truth, data, held, 100) > found["ndcg_at_10"]
    likes = truth.likes(7, 19)
    assert 0.3 < likes.sum() < 1  # of the user's choices, those that get 4 stars


def test_a_goal_says_whether_it_is_met(capsys) -> None:  # type: ignore[no-untyped-def]
    assert goal("one", 0.1, 0.2)
    assert not goal("two", 0.1, 0.2, at_most=False)
    assert (
        capsys.readouterr().out == "goal one: 0.100 (<= 0.2) ok\ngoal two: 0.100 (>= 0.2) short\n"
    )
    assert wilson(0, 300)[1] < 0.013


def test_versions_for_the_benches_are_whole_models_of_their_own_or_broken_as_asked(
    tmp_path: Path,
) -> None:
    trained_bundle(Shape(users=60, items=80, factors=8, ratings=2000), tmp_path / "bundle")
    source = publish(tmp_path / "bundle", tmp_path, 1, {})
    store = tmp_path / "store"
    one, two = (
        PublishedModel.open(copy_version(source, store, n).parent, n, verify=True) for n in (1, 2)
    )
    assert one.bundle.manifest.identity != two.bundle.manifest.identity
    assert not (store / "1" / "item_factors.npy").samefile(store / "2" / "item_factors.npy")
    for number, broken in enumerate(BAD, 3):
        copy_version(source, store, number, broken)
        with pytest.raises(BundleError):
            PublishedModel.open(store, number, verify=True)


def test_what_a_share_brings_simulated_people_is_known() -> None:
    site = Site("always 0.3", (0.3, 0.3), (QUIET, BUSY))
    lists = site.shown(5000, np.random.default_rng(1))
    brought = lists.rows["hit"].mean()  # of some 30,000, of people who differ
    assert brought == pytest.approx(site.truth(0.3), abs=0.02)
    assert abs(site.truth(0.3) - site.truth(0.0)) > 0.005


def test_a_client_tells_statuses_versions_and_why_there_was_no_answer() -> None:
    answers = [
        b"HTTP/1.1 200 OK\r\nX-Model-Version: 7\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 503 no\r\n\r\n",
        b"",
    ]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answers:
            await reader.readuntil(b"\r\n\r\n")
            answer = answers.pop(0)
            writer.write(answer)
            if not answer:
                break
        writer.close()

    async def ask() -> list[tuple[str, int | None]]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            connection = Connection(server.sockets[0].getsockname()[1], patience=5)
            found = [await connection.ask(get("/recommend/1")) for _ in range(3)]
        found.append(await connection.ask(post({})))
        return found

    assert asyncio.run(ask()) == [("200", 7), ("503", None), ("reset", None), ("refused", None)]


def test_the_memory_of_a_process_is_its_own_and_what_it_shares() -> None:
    own = tree(os.getpid())[os.getpid()]
    assert own.private > 1
    assert own.cpu > 0


@pytest.mark.parametrize("point", [one for one in POINTS if one.owner.startswith("movierec")])
def test_each_point_of_a_kill_is_there(point: Point) -> None:
    module, _, name = point.owner.partition(":")
    owner = importlib.import_module(module)
    assert hasattr(getattr(owner, name) if name else owner, point.name.removeprefix("commit of "))
