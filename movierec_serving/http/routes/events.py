"""What users did: kept when it is acknowledged, and known to every list from then on."""

import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError

from movierec_serving.errors import EventStoreError
from movierec_serving.events import Event, EventType
from movierec_serving.events.log import EventLog
from movierec_serving.events.writer import Writer
from movierec_serving.http.middleware.early_events import FOREIGN, Keep
from movierec_serving.http.replies import Reply, invalid, not_kept, printable, problem, reply
from movierec_serving.http.routes.documented import (
    BAD_BODY,
    KEY,
    PUBLIC,
    EventInPath,
    UserInPath,
    problems,
)
from movierec_serving.http.schemas.events import (
    EVENT,
    EventIn,
    EventRemoved,
    EventResults,
    EventsRequest,
    UserEvents,
)
from movierec_serving.http.schemas.requests import Page

DEADLINE = 5.0  # seconds that a request waits for the disk
ANOTHER = "an event that says something else was kept under this id before"
AHEAD = 300  # seconds that a sender's clock may be ahead of ours
NOT_KEPT = problems(
    {503: "The events are not known to be kept: send them again after as long as Retry-After says"}
)
AWAY = problems({503: "The store of events cannot be used; Retry-After says when to ask again"})


def add_event_routes(app: FastAPI, log: EventLog) -> tuple[Keep, APIRoute]:
    """Returns what keeps a body's events, and the route, for whoever answers in its place."""
    writer = Writer(log, DEADLINE)

    async def keep(body: bytes) -> Reply:
        try:
            return await _keep(writer, log.types, body)
        except EventStoreError as error:
            return not_kept(error)

    class AsItCame(APIRoute):
        """Reads the body by itself: FastAPI's way costs more than to keep an event."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            async def handle(request: Request) -> Response:
                return (await keep(await request.body())).response()

            return handle

    async def post_events(request: EventsRequest | EventIn) -> None:
        """Events are on the disk when this answers, and every list from then on knows them. The
        same event twice is one: by its `event_id`, or by what it says where it has none. A wrong
        one gets its error, beside its neighbours. One event may also be sent by itself, without
        `events` around it.
        """

    app.router.add_api_route(
        "/events",
        post_events,
        methods=["POST"],
        dependencies=KEY,
        response_model=EventResults,
        responses={**PUBLIC, **BAD_BODY, **NOT_KEPT, **problems({403: FOREIGN})},
        summary="Keep what users did, up to 1,000 events at once",
        route_class_override=AsItCame,
    )

    @app.get(
        "/users/{user_id:id}/events",
        response_model=UserEvents,
        responses={**PUBLIC, **AWAY},
        dependencies=KEY,
        summary="What a user did, the newest first",
    )
    def get_events(user_id: UserInPath, page: Annotated[Page, Query()]) -> Response:
        kept = [kept_event for kept_event in log.store.of_user(user_id) if not kept_event.removed]
        kept.sort(key=lambda kept_event: -kept_event.event.timestamp)
        items = [
            {
                **kept_event.event._asdict(),
                "received_at": kept_event.received_at,
                "delivered": kept_event.delivery,
            }
            for kept_event in kept[page.offset : page.offset + page.n]
        ]
        return reply({"user_id": user_id, "total": len(kept), "items": items}).response()

    @app.delete(
        "/events/{event_id:id}",
        response_model=EventRemoved,
        responses={**PUBLIC, **AWAY, **problems({404: "There is no such event"})},
        dependencies=KEY,
        summary="Take an event back: no later list knows it",
    )
    def delete_event(event_id: EventInPath) -> Response:
        if not log.remove(event_id):
            return problem(404, "there is no such event").response()
        return reply({"event_id": event_id, "removed": True}).response()

    return keep, next(r for r in app.routes if isinstance(r, APIRoute) and r.path == "/events")


async def _keep(writer: Writer, types: Mapping[str, EventType], body: bytes) -> Reply:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return invalid(
            [{"loc": (), "msg": f"Invalid JSON: {error}", "type": "json_invalid"}], "body"
        )
    alone = isinstance(content, dict) and "events" not in content
    try:
        sent = [content] if alone else EventsRequest.model_validate(content).events
    except ValidationError as error:
        return invalid(error.errors(include_url=False, include_input=False), "body")
    results: list[dict[str, Any]] = []
    good: list[Event] = []
    now = int(time.time())
    for index, said in enumerate(sent):
        try:
            good.append(_event(said, types, now))
            results.append({"index": index, "event_id": good[-1].event_id})
        except ValidationError as error:
            if alone:
                return invalid(error.errors(include_url=False, include_input=False), "body")
            results.append({"index": index, "error": _cause(error)})
        except ValueError as error:
            if alone:
                return invalid([{"loc": (), "msg": str(error), "type": "value_error"}], "body")
            results.append({"index": index, "error": str(error)})
    acknowledged = [result for result in results if "event_id" in result]
    statuses = await writer.append(good) if good else []
    for result, status in zip(acknowledged, statuses, strict=True):
        if status != "another":
            result["status"] = status
        elif alone:
            return invalid([{"loc": ("event_id",), "msg": ANOTHER, "type": "value_error"}], "body")
        else:
            del result["event_id"]
            result["error"] = f"event_id: {ANOTHER}"
    return reply({"results": results})


def _event(sent: Any, types: Mapping[str, EventType], now: int) -> Event:
    """Raises ValueError, pydantic's among them, for what is no event."""
    fields = EVENT.validate_python(sent)
    kind = types.get(fields["type"])
    if kind is None:
        raise ValueError(f"type: {printable(fields['type'])!r} is none of {', '.join(types)}")
    value = fields.get("value")
    if said := kind.wrong(value):
        raise ValueError(f"value: {said}, for the type {fields['type']}")
    timestamp = fields.setdefault("timestamp", now)
    if timestamp > now + AHEAD:
        raise ValueError(f"timestamp: {timestamp} is in the future; it is in seconds, UTC")
    return Event.of(**fields)


def _cause(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return printable(f"{where}: {first['msg']}" if where else first["msg"])
