"""What is used of LitServe's and uvicorn's inside is there, and means what we take it for.

When this fails after an update, mend `movierec_serving/runtime` before looking at other tests.
"""

import asyncio
import inspect
import queue
from pathlib import Path
from typing import Any

import litserve as ls
import pytest
import uvicorn
from litserve.server import RegularRequestHandler
from litserve.utils import LitAPIStatus, ResponseBufferItem
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from movierec_serving.runtime.processes import LastingServer
from movierec_serving.runtime.server import LITSERVE_ROUTES, build_server
from movierec_serving.settings import ServingSettings

CHANGED = "{} has changed: movierec_serving/runtime relies on {}"


@pytest.fixture
def server(tmp_path: Path) -> LastingServer:
    return build_server(ServingSettings(home=tmp_path))


@pytest.mark.parametrize(
    "attribute",
    [
        "app",
        "litapi_connector",
        "litapi_request_queues",
        "monitor_internal",
        "response_buffer",
        "restart_workers",
        "uvicorn_graceful_timeout",
        "_get_request_queue",
        "_shutdown_event",
        "_start_server",
    ],
)
def test_the_server_has(server: LastingServer, attribute: str) -> None:
    plain = vars(ls.LitServer(ls.test_examples.SimpleLitAPI())) | vars(ls.LitServer)
    assert attribute in plain, CHANGED.format("LitServer", attribute)


def test_the_server_starts_its_processes_as_it_did() -> None:
    ours, theirs = (
        list(inspect.signature(each._start_server).parameters)
        for each in (LastingServer, ls.LitServer)
    )
    assert len(ours) == len(theirs), CHANGED.format("LitServer._start_server", theirs)
    source = inspect.getsource(ls.LitServer.run)
    for words in ("self._start_server(", "self._shutdown_event.wait()", "config.bind_socket()"):
        assert words in source, CHANGED.format("LitServer.run", words)


@pytest.mark.parametrize(
    "option", ["host", "port", "num_api_servers", "log_level", "generate_client_file"]
)
def test_it_is_run_with(option: str) -> None:
    parameters = inspect.signature(ls.LitServer.run).parameters
    assert option in parameters, CHANGED.format("LitServer.run", option)


def test_a_request_is_queued_as_we_queue_it(server: LastingServer) -> None:
    """And found by its id where its answer is put."""
    (api,) = server.litapi_connector
    requests: queue.Queue[Any] = queue.Queue()
    server.litapi_request_queues[api.api_path] = requests
    server.app.response_queue_id = 7
    asyncio.run(RegularRequestHandler(api, server)._submit_request(b"body"))
    number, uid, asked_at, body = requests.get_nowait()
    assert server._get_request_queue(api.api_path) is requests
    assert (number, type(uid), type(asked_at), body) == (7, str, float, b"body"), CHANGED.format(
        "LitServe's queue", "(response_queue_id, uid, monotonic time, payload)"
    )
    place = ResponseBufferItem(asyncio.Event())
    assert place.response is None
    assert LitAPIStatus.OK == "OK"


def test_the_routes_that_we_replace_are_all_that_it_has() -> None:
    api = ls.test_examples.SimpleLitAPI(api_path="/recommend")
    paths = {route.path for route in ls.LitServer(api).app.routes}
    assert paths - {"/openapi.json"} == LITSERVE_ROUTES, CHANGED.format("LitServer", "its routes")


def test_a_connection_says_what_it_waits_for() -> None:
    """uvicorn's."""
    protocol = HttpToolsProtocol(
        uvicorn.Config(app=lambda: None), uvicorn.server.ServerState(), {}, asyncio.new_event_loop()
    )
    for attribute in (
        "connections",
        "cycle",
        "limit_concurrency",
        "loop",
        "timeout_keep_alive_task",
        "transport",
    ):
        assert attribute in vars(protocol), CHANGED.format("HttpToolsProtocol", attribute)
    protocol.loop.close()
    source = inspect.getsource(RequestResponseCycle.__init__)
    for attribute in ("more_body", "response_complete", "response_started", "scope"):
        assert f"self.{attribute} = " in source, CHANGED.format("uvicorn's request", attribute)
    assert list(inspect.signature(uvicorn.Server.on_tick).parameters) == ["self", "counter"]
    assert "counter % 10 == 0" in inspect.getsource(uvicorn.Server.on_tick), CHANGED.format(
        "uvicorn's tick", "a tenth of a second"
    )
