"""An S3 server of the tests' own (moto's), and a proxy before it that misbehaves when told to."""

from __future__ import annotations

import http.client
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from movierec_serving.bundle.objects import TIMEOUT

EMPTY_LIST = b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>'
PAUSE = 0.2  # seconds
HASTY = 2.0  # seconds; a busy machine answers later now and then
LONG = 1000  # times: for as long as anybody tries
KEPT = ("content-type", "etag", "last-modified", "content-range")


@dataclass
class Fault:
    """What the next `times` requests of a method for a matching path get; `slow` is answered all
    the same, `PAUSE` later.
    """

    kind: str
    method: str = "GET"
    path: str = ""
    times: int = 1

    @property
    def timeout(self) -> float:
        """Seconds for a request: as in production, but not where it would wait for them."""
        return HASTY if self.kind == "hang" else TIMEOUT


def named(case: tuple[Fault, bool]) -> str:
    """The name of a case: a fault, and whether what met it comes to a good end."""
    fault, _ = case
    times = "always" if fault.times == LONG else f"{fault.times}x"
    return f"{fault.method} {fault.path or 'any'}: {fault.kind} {times}"


@dataclass
class Bucket:
    """The bucket's address by the proxy, and what is wrong with it."""

    address: str
    upstream: int
    faults: list[Fault] = field(default_factory=list)
    hit: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, method: str, path: str) -> str | None:
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    self.hit.set()
                    return fault.kind
        return None

    @property
    def environment(self) -> dict[str, str]:
        """What obstore reads."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "of-the-tests",
            "AWS_SECRET_ACCESS_KEY": "of-the-tests",
        }


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.bucket.fault(self.command, self.path)
        if fault == "hang" or (fault == "hang if whole" and "Range" not in self.headers):
            self.bucket.ended.wait()
            self.close_connection = True
        elif fault in ("500", "404"):
            self.reply(int(fault), {}, b"")
        elif fault == "stale list":
            self.reply(200, {"content-type": "application/xml"}, EMPTY_LIST)
        else:
            if fault == "slow":
                self.bucket.ended.wait(PAUSE)
            self.hand_on(altered(body) if fault == "altered upload" else body, fault)

    do_PUT = do_HEAD = do_DELETE = do_POST = do_GET  # noqa: N815 - http.server's names

    def hand_on(self, body: bytes, fault: str | None) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.bucket.upstream, timeout=60)
        with closing(connection):
            headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        if fault == "lost answer":
            self.close_connection = True
            return
        if fault == "altered":
            content = altered(content)
        if fault == "bare marks":  # a list of Azure's
            content = re.sub(rb'(<ETag>)(?:"|&quot;)(\w+)(?:"|&quot;)', rb"\1\2", content)
        if fault == "shortened":
            content = content[: len(content) // 2]
        kept = {name: answer.headers[name] for name in KEPT if name in answer.headers}
        announced = answer.headers.get("Content-Length", "0") if self.command == "HEAD" else None
        self.reply(answer.status, kept, content, announced, cut=fault == "cut off")

    def reply(
        self,
        status: int,
        headers: dict[str, str],
        content: bytes,
        announced: str | None = None,
        cut: bool = False,
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", announced or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection |= cut

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def altered(content: bytes) -> bytes:
    """The same number of bytes, the last one another."""
    return content[:-1] + bytes([content[-1] ^ 1])


@contextmanager
def proxied(upstream: int) -> Iterator[Bucket]:
    """The bucket by a proxy of its own."""
    made = type("Proxy", (Proxy,), {})
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), made)
    proxy.daemon_threads = True
    state = Bucket(f"http://127.0.0.1:{proxy.server_port}", upstream)
    made.bucket = state  # type: ignore[attr-defined]
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        state.ended.set()
        proxy.shutdown()
        proxy.server_close()


@contextmanager
def bucket() -> Iterator[Bucket]:
    """An empty one, which the environment names until the end."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    _, port = server.get_host_and_port()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("PUT", "/bucket")
    assert connection.getresponse().status == 200
    connection.close()
    try:
        with proxied(port) as state, pytest.MonkeyPatch.context() as patch:
            for name, value in state.environment.items():
                patch.setenv(name, value)
            yield state
    finally:
        server.stop()
