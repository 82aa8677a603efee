"""Clients that take their time: uvicorn waits for them for ever, and each holds a descriptor.

What a request may contain is `http/`'s. Nothing here runs for each request: connections are looked
at once a second, and when there is no descriptor for another.
"""

import asyncio
import os
import resource
from enum import Enum
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from movierec_serving import metrics
from movierec_serving.http.middleware.body_limit import MAX_BODY, declared_length

PATIENCE = 10.0  # seconds for a header, and for a body or an answer beside what its size takes
RATE = 64 << 10  # bytes a second that a client has to send or to take, beyond that
RESERVE = 40  # descriptors for what is no connection: the files of two versions, the event loop
LEAST = 8  # connections, however few descriptors there are
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Stage(Enum):
    """What a connection waits for; all but an answer is the client's to do."""

    IDLE = "idle"  # another request; uvicorn ends it by itself
    HEADER = "slow_header"  # the rest of a request's header
    BODY = "slow_body"  # the rest of its body
    ANSWER = "answer"  # what we say
    READER = "slow_reader"  # that the client takes what we said


class Joined:
    """A transport that sends at once what is written in one step of the event loop.

    uvicorn writes header and body apart. By itself each is a call of the kernel and a packet, which
    cost a tenth of a plain GET.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop, self._parts = transport, loop, list[Any]()
        self._closing = False

    def write(self, data: Any) -> None:
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)

    @property
    def waits(self) -> bool:
        """Whether something that was written in this step is to be sent."""
        return bool(self._parts)

    def _send(self) -> None:
        if self._parts:
            parts, self._parts = self._parts, []
            if not self._transport.is_closing():  # else the client went meanwhile: nobody's error
                self._transport.write(b"".join(parts))

    def close(self) -> None:
        """In its turn, as all that is sent: a list is written down before."""
        if self._parts:
            self._closing = True
            self._loop.call_soon(self._transport.close)
        else:
            self._transport.close()

    def is_closing(self) -> bool:
        return self._closing or self._transport.is_closing()

    def abort(self) -> None:
        self._parts = []
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size() + sum(map(len, self._parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class PatientProtocol(HttpToolsProtocol):
    """A connection that knows what it waits for; uvicorn's `limit_concurrency` is a number of them.

    Where a new one is above the limit, the one whose client has made us wait longest goes.
    """

    since: float  # time of the loop at which it was first seen to wait for `awaited`
    awaited: tuple[Stage, Any] = (Stage.HEADER, None)  # with the last request
    patience = PATIENCE

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.joined = Joined(transport, self.loop)
        super().connection_made(self.joined)  # type: ignore[arg-type]
        self.since = self.loop.time()
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            self._make_place()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """A client that says no more still gets an answer that is made: the loop would close the
        connection before its turn. True keeps it from that.
        """
        if not self.joined.waits:
            return None
        self.joined.close()
        return True

    @property
    def stage(self) -> Stage:
        if self.transport.get_write_buffer_size():
            return Stage.READER
        if self.cycle is None or self.cycle.response_complete:
            return Stage.HEADER if self.timeout_keep_alive_task is None else Stage.IDLE
        return Stage.BODY if self.cycle.more_body else Stage.ANSWER

    def look(self, now: float) -> None:
        """Close the connection if its client took too long; called once a second."""
        awaited = (self.stage, self.cycle)
        if self.awaited != awaited:
            self.awaited, self.since = awaited, now
            self.patience = self._patience(self.stage)
        elif now - self.since > self.patience:
            self._drop(self.stage)

    def _patience(self, stage: Stage) -> float:
        """How many seconds the client may take."""
        if stage in (Stage.IDLE, Stage.ANSWER):
            return float("inf")
        size = 0
        if stage is Stage.READER:
            size = self.transport.get_write_buffer_size()
        elif stage is Stage.BODY:
            size = declared_length(self.cycle.scope, default=MAX_BODY)
        return PATIENCE + size / RATE

    def _make_place(self) -> None:
        """Close the connection that waits longest for its client.

        If all wait for an answer, none is closed, and uvicorn answers the next request by 503.
        """
        waiting = [
            each
            for each in self.connections
            if isinstance(each, PatientProtocol)
            and each is not self
            and not each.transport.is_closing()
            and each.stage is not Stage.ANSWER
        ]
        if waiting:
            longest = min(waiting, key=lambda each: each.since)
            longest._drop(None)
            # The loop tells it of its end a moment later; a request that is here before would be
            # answered by 503.
            self.connections.discard(longest)

    def _drop(self, stage: Stage | None) -> None:
        """Close the connection: it was slow at `stage`, or, None, another one needs its place."""
        metrics.count(metrics.DROPPED, stage.value if stage else "no_descriptors")
        answering = self.cycle is not None and self.cycle.response_started
        if stage is Stage.HEADER or (stage is Stage.BODY and not answering):
            self.transport.write(TOO_SLOW)
            self.transport.close()
        else:
            self.transport.abort()


class PatientServer(uvicorn.Server):
    """uvicorn, looking at its connections once a second."""

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:  # uvicorn's ticks are a tenth of a second
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, PatientProtocol):
                    connection.look(now)
        return await super().on_tick(counter)


def most_connections() -> int:
    """How many connections this process has descriptors for."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a path has no better word for it
    return max(LEAST, limit - used - RESERVE)
