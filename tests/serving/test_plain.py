"""The shortest way to a list answers as the usual one, and gives way to whatever else counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope, Send

from movierec_serving.bundle import publish
from movierec_serving.bundle.experiment import Arm, Experiment
from movierec_serving.errors import ModelUnavailableError
from movierec_serving.events import Event
from movierec_serving.events.log import EventLog
from movierec_serving.events.shown import ShownLog, days_shown, read_shown
from movierec_serving.http.middleware.early_lists import EarlyLists
from movierec_serving.http.paging import question
from movierec_serving.http.plain import plain_list
from movierec_serving.http.recommender import Recommender
from movierec_serving.http.replies import Reply
from movierec_serving.http.schemas.requests import Options
from movierec_serving.model.holder import ModelHolder
from movierec_serving.model.lately import Lately
from tests.support import sample_models as models

PATH = "/recommend/{}"


@pytest.fixture
def holder(tmp_path: Path) -> ModelHolder:
    """An endpoint whose first user has seen nothing, and whose last one all movies but one."""
    store = tmp_path / "models"
    store.mkdir()
    models.publish_version(store, 3)
    shown = ShownLog(tmp_path / "shown", 1.0, lambda lost: None)
    lately = Lately(EventLog(tmp_path / "events", tmp_path / "sources"))
    made = ModelHolder(store, store / ".serving-1", shown=shown, lately=lately)
    made.pointer.store(3)
    made.begin_events()
    return made


def usual(holder: ModelHolder, user: str, options: Options) -> Reply:
    asked = question(PATH.format(user), options)
    return Recommender(holder, options, asked=asked).for_user(user)


def plain(holder: ModelHolder, user: str = "u1", **options: Any) -> Reply | None:
    return plain_list(holder, user, PATH.format(user), Options(**options))


def said(reply: Reply) -> dict[str, Any]:
    content = json.loads(reply.body)
    assert len(content.pop("recommendation_id")) == len("3-") + 24
    return {"status": reply.status, "headers": reply.headers, **content}


@pytest.mark.parametrize("user", ["u0", "u1", "u7", "a/b c%"])
@pytest.mark.parametrize("options", [{}, {"n": 1}, {"n": 7, "shown": False}, {"n": 20}])
def test_it_answers_and_is_written_down_as_the_usual_way(
    holder: ModelHolder, tmp_path: Path, user: str, options: dict[str, Any]
) -> None:
    replies = plain(holder, user, **options), usual(holder, user, Options(**options))
    assert replies[0] is not None
    assert said(replies[0]) == said(replies[1])
    assert list(json.loads(replies[0].body)) == list(json.loads(replies[1].body))
    folder = tmp_path / "shown"
    lines = [
        line
        for day in days_shown(folder)
        for _, shown, _ in read_shown(folder, day)
        for line in shown
    ]
    ids = [json.loads(reply.body)["recommendation_id"] for reply in replies]
    assert [line.pop("recommendation_id") for line in lines] == (
        [] if options.get("shown") is False else ids
    )
    for line in lines:
        assert 0 <= line.pop("ms") < 1000
        line.pop("at")
    assert all(line == lines[0] for line in lines)


def rated(holder: ModelHolder) -> None:
    assert holder.lately is not None
    holder.lately.log.append([Event.of("u1", "m1", "rating", 4.0, timestamp=1)])


def blocked(holder: ModelHolder) -> None:
    holder.blocklist.set("m1", blocked=True)


def experiment(holder: ModelHolder) -> None:
    shares = {"production": 0.5, "popular": 0.5}
    arms = [Arm(name=name, version=None) for name in shares]
    holder.arms.set(Experiment.of("x", "a salt of x", arms, shares))


def exploring(holder: ModelHolder) -> None:
    holder.explore = 0.1


@pytest.mark.parametrize("what", [rated, blocked, experiment, exploring])
def test_it_gives_way_to_whatever_else_has_a_say(
    holder: ModelHolder, what: Callable[[ModelHolder], None]
) -> None:
    assert plain(holder) is not None
    what(holder)
    assert plain(holder) is None


def test_it_gives_way_where_the_list_is_short_or_nobodys(holder: ModelHolder) -> None:
    assert plain(holder, "nobody") is None
    assert plain(holder, "ünïcode") is None  # has seen all but one
    assert plain(holder, n=60) is None  # there are not so many movies


def test_it_gives_way_where_nothing_speaks_for_the_list(tmp_path: Path) -> None:
    nothing = models.content().own["user_factors"] * 0
    models.write(tmp_path / "bundle", models.content(user_factors=nothing))
    publish(tmp_path / "bundle", tmp_path / "models", 1, {})
    holder = ModelHolder(tmp_path / "models", tmp_path / "models" / ".serving-1")
    holder.pointer.store(1)
    assert plain(holder) is None


def test_without_a_model_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    holder = ModelHolder(tmp_path / "models", tmp_path / "models" / ".serving-1")
    with pytest.raises(ModelUnavailableError):
        plain(holder)


@pytest.mark.parametrize("query", [b"", b"n=7", b"genre=Comedy&exclude=m2&n=3", b"explain=true"])
def test_a_list_is_answered_before_fastapi(holder: ModelHolder, query: bytes) -> None:
    passed_on, sent = [], []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed_on.append(scope["path"])

    async def send(message: Message) -> None:
        sent.append(message)

    early = EarlyLists(app, holder, APIRoute("/", app))
    for user in ("u1", "nobody", "u\0", ""):
        scope = {"type": "http", "method": "GET", "path": PATH.format(user), "query_string": query}
        asyncio.run(early(scope, app, send))
    assert passed_on == [PATH.format("u\0"), PATH.format("")]
    assert [message["status"] for message in sent[::2]] == [200, 200]
