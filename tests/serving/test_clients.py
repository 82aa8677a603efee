"""Clients that are slow, hang up or send too much get an error of theirs, and others an answer."""

import asyncio
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import uvloop

from movierec_serving.http.middleware.body_limit import MAX_BODY
from movierec_serving.runtime.connections import (
    PATIENCE,
    Joined,
    PatientProtocol,
    PatientServer,
    Stage,
)
from tests.support.endpoint_process import TOKEN, EndpointProcess, wait_for

HALF_HEADER = b"POST /recommend HTTP/1.1\r\nHost: x\r\n"
HALF_BODY = HALF_HEADER + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


def connected(endpoint: EndpointProcess, said: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", endpoint.port), timeout=40)
    connection.sendall(said)
    return connection


def counts(endpoint: EndpointProcess, name: str) -> dict[str, float]:
    """Values of a counter by its labels, over a connection of its own."""
    with endpoint.another_client() as client:
        lines = [line for line in client.get("/metrics").text.splitlines() if line[0] != "#"]
    pairs = (line.removeprefix(name).rsplit(" ", 1) for line in lines if line.startswith(name))
    return {labels: float(value) for labels, value in pairs}


def test_a_client_that_does_not_end_its_request_is_told_and_dropped(
    endpoint: EndpointProcess,
) -> None:
    with ExitStack() as stack:
        for said in (b"", HALF_HEADER, HALF_BODY):
            connection = stack.enter_context(connected(endpoint, said))
            stack.callback(lambda each=connection: read_timeout(each))
    dropped = counts(endpoint, "movierec_dropped_connections_total")
    assert dropped['{reason="slow_header"}'] >= 2
    assert dropped['{reason="slow_body"}'] >= 1
    assert endpoint.client.get("/recommend/u1").status_code == 200


def test_an_answer_arrives_in_one_piece(endpoint: EndpointProcess) -> None:
    asked = b"GET /recommend/u1 HTTP/1.1\r\nHost: x\r\n\r\n"
    with connected(endpoint, asked) as connection:
        for _ in range(20):
            header, _, body = connection.recv(1 << 16).partition(b"\r\n\r\n")
            assert f"content-length: {len(body)}".encode() in header
            connection.sendall(asked)


def test_a_client_that_says_no_more_gets_its_answer(endpoint: EndpointProcess) -> None:
    """As `nc -N` and some programs that look whether an endpoint is well."""
    for path in ("/recommend/u1", "/recommend/nobody", "/popular"):
        with connected(endpoint, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) as connection:
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as answer:
                assert answer.read().startswith(b"HTTP/1.1 200 ")


def test_a_client_that_goes_while_its_answer_is_made_is_no_error_of_ours() -> None:
    """uvloop, as in the endpoint, raises for a transport that is closed; asyncio does not."""
    errors: list[dict[str, Any]] = []

    async def scenario(listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: errors.append(context))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        client, _ = listener.accept()
        reset = struct.pack("ii", 1, 0)  # what it has not read is thrown away
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        client.close()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        Joined(writer.transport, loop).write(b"an answer")  # type: ignore[arg-type]
        turn = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn

    with listening() as listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(scenario(listener), 60))
    assert not errors


def read_timeout(connection: socket.socket) -> None:
    assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
    assert connection.recv(100) == b""


def test_half_open_connections_beyond_the_descriptors_stop_no_answer(store: Path) -> None:
    endpoint = EndpointProcess(store.parents[1])
    process = endpoint.launch()
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (64, 64))  # before it has children
    try:
        wait_for(lambda: _answers(endpoint), "the endpoint answers")
        assert endpoint.reload(3).status_code == 200
        wait_for(lambda: _all_serve(endpoint, 3), "every process has the version open")
        with ExitStack() as stack:
            for said in [b"", HALF_HEADER, HALF_BODY] * 40:
                stack.enter_context(connected(endpoint, said))
            for _ in range(20):
                with endpoint.another_client() as client:
                    assert client.get("/recommend/u1").status_code == 200
                    answer = client.post("/recommend", json={"user_id": "u1"})
                    assert answer.status_code == 200
        assert counts(endpoint, "movierec_dropped_connections_total")['{reason="no_descriptors"}']
    finally:
        endpoint.close()


def _all_serve(endpoint: EndpointProcess, version: int) -> bool:
    """Whether each API process has opened the version, which it does at its next request."""
    with endpoint.another_client() as client:
        client.get("/recommend/u1")
        processes = client.get("/model").json()["processes"]
    return all(one["version"] == version for one in processes if one["process"] != "worker")


def _answers(endpoint: EndpointProcess) -> bool:
    try:
        return endpoint.client.get("/health").status_code == 503
    except httpx.TransportError:
        return False


class Connections:
    """A server in this process, whose clock is ours."""

    def __init__(self) -> None:
        self.changed = changed = asyncio.Event()

        class Told(PatientProtocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                changed.set()

            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                changed.set()

            def pause_writing(self) -> None:
                super().pause_writing()
                changed.set()

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                changed.set()

        self.server = PatientServer(
            uvicorn.Config(large_answer, http=Told, lifespan="off", log_level=50)
        )

    async def look(self, later: float) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.server.server_state.connections):
            connection.look(now)
            connection.look(now + later)

    async def reached(self, stage: Stage | None) -> None:
        """None for no connection."""
        while {each.stage for each in self.server.server_state.connections} != {stage} - {None}:
            self.changed.clear()
            await self.changed.wait()


async def large_answer(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    start = {"type": "http.response.start", "status": 200, "headers": []}
    await send(start)
    await send({"type": "http.response.body", "body": bytes(40 << 20)})


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


@pytest.mark.parametrize(
    ("said", "stage", "patience"),
    [
        (b"", Stage.HEADER, PATIENCE),
        (HALF_HEADER, Stage.HEADER, PATIENCE),
        (HALF_BODY, Stage.BODY, PATIENCE + 1),
        (HALF_BODY + b"x" * 99, Stage.READER, 1000),
    ],
)
def test_each_kind_of_waiting_has_its_limit(said: bytes, stage: Stage, patience: float) -> None:
    async def scenario(listener: socket.socket) -> None:
        connections = Connections()
        server = connections.server
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        _, writer = await asyncio.open_connection(*listener.getsockname(), limit=1024)
        writer.write(said)
        await connections.reached(stage)
        await connections.look(PATIENCE - 1)
        await connections.reached(stage)
        await connections.look(patience + 1)
        await connections.reached(None)
        writer.close()
        server.should_exit = True
        await serving

    with listening() as listener:
        asyncio.run(asyncio.wait_for(scenario(listener), 60))


def test_a_connection_that_makes_place_counts_no_more_when_the_next_request_is_read() -> None:
    counted: list[int] = []

    class Counted(PatientProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            counted.append(len(self.connections))

    async def scenario(listener: socket.socket) -> None:
        config = uvicorn.Config(
            large_answer, http=Counted, lifespan="off", log_level=50, limit_concurrency=2
        )
        server = PatientServer(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        first, held = await asyncio.open_connection(*listener.getsockname())
        _, second = await asyncio.open_connection(*listener.getsockname())
        with suppress(ConnectionResetError):
            await first.read()  # to its end
        for writer in (held, second):
            writer.close()
        server.should_exit = True
        await serving

    with listening() as listener:
        asyncio.run(asyncio.wait_for(scenario(listener), 60))
    assert counted == [1, 1]


@pytest.mark.parametrize("path", ["/recommend", "/reload"])
def test_a_client_that_hangs_up_is_no_error_of_ours(endpoint: EndpointProcess, path: str) -> None:
    name, log = "movierec_requests_total", endpoint.log.read_text()
    label = f'{{method="POST",route="{path}",status="499"}}'
    before = counts(endpoint, name).get(label, 0)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    )
    for body in (b"", b'{"user'):
        connected(endpoint, head.encode() + body).close()
    wait_for(lambda: counts(endpoint, name).get(label, 0) == before + 2, "both are counted")
    assert not [labels for labels in counts(endpoint, name) if 'status="500"' in labels]
    said = endpoint.log.read_text().removeprefix(log).splitlines()
    assert not [line for line in said if "opened version" not in line]  # of a reload before


@pytest.mark.parametrize("scheme", ["bearer", "Bearer", "BEARER"])
def test_the_scheme_of_a_token_is_read_in_any_case(store: Path, scheme: str) -> None:
    """With keys and without: RFC 7235."""
    with keyed(store) as endpoint:
        headers = {"Authorization": f"{scheme} {TOKEN}"}
        post = endpoint.client.post("/reload", json={"version": 3}, headers=headers)
        assert post.status_code == 200
        assert endpoint.client.get("/recommend/u1", headers=headers).status_code == 200
        assert endpoint.client.get("/recommend/u1").status_code == 401


@contextmanager
def keyed(store: Path) -> Iterator[EndpointProcess]:
    endpoint = EndpointProcess(store.parents[1], MOVIEREC_API_KEYS="a-key").start()
    try:
        yield endpoint
    finally:
        endpoint.close()


@pytest.mark.parametrize("path", ["/recommend", "/reload", "/nope"])
def test_a_body_that_says_it_is_too_large_is_refused_unread(
    endpoint: EndpointProcess, path: str
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {100 << 20}\r\n\r\n"
    with connected(endpoint, head.encode()) as connection:
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))  # so it closes, too
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert f"the body is above {MAX_BODY:,} bytes".encode() in answer


def test_a_large_body_in_pieces_is_refused_when_it_is_too_large(endpoint: EndpointProcess) -> None:
    sent = [0]

    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            sent[0] += 1 << 20
            yield bytes(1 << 20)

    try:
        answer = endpoint.client.post("/recommend", content=pieces())
    except httpx.TransportError:  # it was closed while we were sending, which may hide the answer
        assert sent[0] < 100 << 20
    else:
        assert answer.status_code == 413
    assert endpoint.client.get("/recommend/u1").status_code == 200


def resident(endpoint: EndpointProcess) -> int:
    """Bytes that the processes of the endpoint have to themselves."""
    from tests.support.endpoint_process import descendants

    total = 0
    for pid in descendants(endpoint.process.pid):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Private_Dirty", "Private_Clean")):
                total += int(line.split()[1]) << 10
    return total


def test_many_requests_leave_memory_as_it_was(endpoint: EndpointProcess) -> None:
    def ask(times: int) -> None:
        for number in range(times):
            endpoint.client.get(f"/recommend/u{number % 9}")
            if number % 10 == 0:
                endpoint.client.post("/recommend", json={"user_id": f"new {number}"})
                endpoint.client.get(f"/recommend/{number}?n=3&offset=1")
                endpoint.client.get(f"/nope/{number}")

    endpoint.reload(2)
    ask(300)
    before = resident(endpoint)
    ask(1000)
    assert resident(endpoint) - before < 1 << 20  # a kilobyte a request is a leak
