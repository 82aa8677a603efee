"""A publication in parts by user: an endpoint holds some users, a router asks the right one."""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from pydantic import ValidationError

from demo.processes import free_port
from movierec_serving.bundle import BundleError, Evidence, PublishedModel
from movierec_serving.bundle.cutting import cut
from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.bundle.publications import Publications
from movierec_serving.bundle.selection import Slice, for_users
from movierec_serving.bundle.shard import Shard, part_of
from movierec_serving.settings import ServingSettings
from tests.support import sample_models as models
from tests.support.endpoint_process import PATIENCE, EndpointProcess, wait_for
from tests.support.nginx import nginx

COUNT = 4
VERSIONS = (1, 2, 3)
N = 10


def publish(store: Path, version: int, users: int = 200) -> PublishedModel:
    content = models.content(users=users, seed=version)
    bundle = store.parent / "bundles" / str(version)
    models.write(bundle, content, identity=f"model-{version}")
    models.publish(bundle, store, version, models.movies(content))
    return PublishedModel.open(store, version)


def lists(model: PublishedModel) -> dict[str, list[str]]:
    """Everybody's ten movies."""
    bundle = model.bundle
    rows = range(len(bundle.user_ids))
    ranked = for_users(model, list(rows), Slice(N))
    ids = ([model.catalogue.movie_id(item) for item, _ in own] for own in ranked)
    return dict(zip(map(bundle.user_id, rows), ids, strict=True))


def test_the_parts_together_are_the_whole(tmp_path: Path) -> None:
    whole = publish(tmp_path / "models", 1)
    together: dict[str, list[str]] = {}
    interactions = 0
    for shard in Shard.all_of(COUNT):
        cut(whole, shard, tmp_path / str(shard.number) / "1")
        part = PublishedModel.open(tmp_path / str(shard.number), 1, verify=True)
        assert part.shard == shard
        own = lists(part)
        assert not together.keys() & own.keys()
        together |= own
        interactions += len(part.bundle.seen_items)
        for user in map(part.bundle.user_id, range(len(part.bundle.user_ids))):
            evidence = [
                Evidence.of_user(model.bundle, model.bundle.user_row(user) or 0)
                for model in (part, whole)
            ]
            np.testing.assert_array_equal(*(each.weights for each in evidence))
            np.testing.assert_array_equal(*(each.disliked for each in evidence))
        assert part.bundle.family.mean_stars == whole.bundle.family.mean_stars
        items = part.bundle.path / "item_factors.npy"
        assert items.samefile(whole.bundle.path / "item_factors.npy")
    assert together == lists(whole)
    assert interactions == len(whole.bundle.seen_items)


def test_a_part_without_users_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    publish(tmp_path / "models", 1, users=3)
    shared = Publications(ObjectStore(f"file://{tmp_path}/store"), parts=COUNT)
    with pytest.raises(BundleError, match=r"no user is in part ./4: cut it into fewer parts"):
        shared.publish(tmp_path / "models", 1)
    assert [folder.name for folder in (tmp_path / "models").iterdir()] == ["1"]


def test_a_removed_version_has_no_part_left(tmp_path: Path) -> None:
    publish(tmp_path / "models", 1)
    shared = Publications(ObjectStore(f"file://{tmp_path}/store"), parts=COUNT)
    for _ in range(2):
        shared.publish(tmp_path / "models", 1)
    parts = [Publications(shared.store, own=shard) for shard in Shard.all_of(COUNT)]
    assert all(part.index(1) for part in parts)
    shared.remove(1)
    assert not any(part.index(1) for part in parts)
    assert not [file for file in (tmp_path / "store").rglob("*") if file.is_file()]


@pytest.mark.parametrize("wrong", ["5/4", "0/4", "2", "2/4/8", "two of four"])
def test_a_part_that_there_is_not_is_refused(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="shard"):
        ServingSettings(shard=wrong, app="off", object_store=str(tmp_path), home=tmp_path)


class Answer(NamedTuple):
    began: float
    user: str
    version: int
    movies: list[str]


class Users:
    """Each asks by the router, again and again, in the block; what they got."""

    def __init__(self, url: str, users: list[str]) -> None:
        self._url, self._users = url, users
        self._done = threading.Event()
        self.answers: list[Answer] = []
        self.failures: list[str] = []

    def ask(self, users: list[str]) -> None:
        with httpx.Client(base_url=self._url, timeout=PATIENCE, trust_env=False) as client:
            for user in itertools.cycle(users):
                if self._done.is_set():
                    return
                began = time.monotonic()
                answer = client.get(f"/recommend/{quote(user, safe='')}?n={N}")
                if answer.status_code != 200:
                    self.failures.append(f"{user}: {answer.status_code} {answer.text}")
                    continue
                body = answer.json()
                movies = [item["movie_id"] for item in body["items"]]
                self.answers.append(Answer(began, user, body["model_version"], movies))

    def go_on(self) -> None:
        """Until everybody was answered twice more."""
        target = len(self.answers) + 2 * len(self._users)
        wait_for(lambda: self.failures or len(self.answers) >= target, "answers")

    def __enter__(self) -> Users:
        self._pool = ThreadPoolExecutor(4)
        self._asking = [self._pool.submit(self.ask, self._users[i::4]) for i in range(4)]
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._pool.shutdown()
        for each in self._asking:
            each.result()


@pytest.fixture
def whole(tmp_path: Path) -> dict[int, PublishedModel]:
    """The versions, of which the first is production, in a store that all endpoints mount."""
    shared = Publications(ObjectStore(f"file://{tmp_path}/store"), parts=COUNT)
    published = {version: publish(tmp_path / "models", version) for version in VERSIONS}
    for version in VERSIONS:
        shared.publish(tmp_path / "models", version)
    shared.name_production(1)
    return published


@pytest.fixture
def endpoints(tmp_path: Path, whole: dict[int, PublishedModel]) -> Iterator[list[EndpointProcess]]:
    """One for each part, which come up empty and bring production by themselves."""
    with ExitStack() as stack:
        running = []
        for shard in Shard.all_of(COUNT):
            home = tmp_path / f"home-{shard.number}"
            home.mkdir()
            one = EndpointProcess(
                home,
                MOVIEREC_STORE=f"{tmp_path}/store",
                MOVIEREC_SHARD=str(shard),
                MOVIEREC_APP="off",
                MOVIEREC_SERVING_API_PROCESSES="1",
            )
            stack.callback(one.close)
            one.launch()
            running.append(one)
        for one in running:
            wait_for(one._answers, f"it answers: {one.log}")
            wait_for(lambda one=one: one.client.get("/health").status_code == 200, "it serves")
        yield running


@pytest.fixture
def router(
    endpoints: list[EndpointProcess], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    listen = f"127.0.0.1:{free_port()}"
    of_parts = {f"SHARD_{i}": f"127.0.0.1:{one.port}" for i, one in enumerate(endpoints, 1)}
    with nginx(folder, {"API_LISTEN": listen, **of_parts}, "shards/nginx.conf.template"):
        yield f"http://{listen}"


def test_no_answer_mixes_versions_while_four_parts_reload(
    whole: dict[int, PublishedModel], endpoints: list[EndpointProcess], router: str
) -> None:
    expected = {version: lists(model) for version, model in whole.items()}
    acknowledged = {1: time.monotonic()}
    with Users(router, [*expected[1]]) as users:
        users.go_on()
        for version in VERSIONS[1:]:
            for one in endpoints:
                assert one.reload(version).json()["changed"]
            acknowledged[version] = time.monotonic()
            users.go_on()
    assert users.failures == []
    seen = defaultdict(list)
    for answer in users.answers:
        assert answer.movies == expected[answer.version][answer.user]
        newest = max(v for v, at in acknowledged.items() if at <= answer.began or v == 1)
        assert answer.version >= newest
        seen[answer.user].append(answer.version)
    for versions in seen.values():  # nobody's goes back
        assert versions == sorted(versions)
        assert set(versions) == set(VERSIONS)
    _ask_wrongly(endpoints, router)
    endpoints[1].close()
    with httpx.Client(base_url=router, timeout=PATIENCE, trust_env=False) as client:
        for user in expected[3]:
            status = client.get(f"/recommend/{quote(user, safe='')}").status_code
            assert status == (502 if part_of(user.encode(), COUNT) == 2 else 200)


def _ask_wrongly(endpoints: list[EndpointProcess], router: str) -> None:
    """A user of another part is never answered as one whom nobody knows."""
    user = next(f"u{i}" for i in range(100) if part_of(f"u{i}".encode(), COUNT) == 3)
    other = endpoints[0].client
    asked = {"user_id": user}
    many = {"users": [user] * 500}  # for a worker
    for answer in (
        other.get(f"/recommend/{user}"),
        other.get(f"/recommend/{user}?explain=true"),
        other.get(f"/users/{user}/history"),
        other.get("/popular", params=asked),
        other.get("/latest", params={"by": "taste", **asked}),
        other.post("/recommend", json=asked),
        other.post("/recommend", json=many),
    ):
        assert answer.status_code == 421, answer.text
        assert "part 3 of 4" in answer.json()["detail"]
        assert answer.headers["X-Movierec-Shard"] == "3"
    header = {"X-Movierec-Shard": "3"}
    with httpx.Client(base_url=router, timeout=PATIENCE, trust_env=False) as client:
        assert client.get("/popular", params=asked).is_success
        assert client.get(f"/users/{user}/history").is_success
        for body in (asked, many):
            assert client.post("/recommend", json=body, headers=header).is_success
        assert client.get("/model").status_code == 404
