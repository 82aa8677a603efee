"""Requests that no client should send, and what the endpoint may answer to them."""

import json
import random
import socket
from typing import Any
from urllib.parse import quote

import httpx

TEXTS = [
    "u1",
    "m3",
    "",
    " ",
    "nobody",
    "a/b c%",
    "映画",
    "😀" * 40,
    "x" * 70,
    "../..",
    "\0",
    "\u2028",
    "'--",
    "{}",
]
NUMBERS = [0, 1, -1, 7, 100, 101, 10**30, 1.5, 1e300, float("nan"), float("inf"), True, None]
PATHS = [
    "/recommend/{}",
    "/similar/{}",
    "/users/{}/history",
    "/movies/{}",
    "/latest",
    "/blocklist/{}",
    "/{}",
    "/reload/{}",
]
FIELDS = [
    "user_id",
    "users",
    "ratings",
    "n",
    "offset",
    "genre",
    "exclude",
    "explain",
    "movie_id",
    "rating",
    "version",
]
DOCUMENTED = {200, 400, 401, 404, 405, 410, 413, 422}


def value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(6 if depth < 4 else 2)
    if kind == 0:
        return rng.choice(TEXTS)
    if kind == 1:
        return rng.choice(NUMBERS)
    if kind in (2, 3):
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(FIELDS): value(rng, depth + 1) for _ in range(rng.randrange(4))}


def body(rng: random.Random) -> bytes:
    choice = rng.randrange(8)
    if choice == 0:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(60)))
    if choice == 1:
        deep = rng.choice([10, 1000, 50_000])
        return b'{"users":' * deep if rng.random() < 0.5 else b"[" * deep + b"]" * deep
    good = {
        rng.choice(["user_id", "users", "ratings"]): value(rng),
        **{rng.choice(FIELDS[3:8]): value(rng) for _ in range(rng.randrange(3))},
    }
    text = json.dumps(good).encode()
    return text[: rng.randrange(len(text))] if choice == 2 else text


def send(client: httpx.Client, rng: random.Random) -> httpx.Response:
    """One request; nothing of it is retried, and no answer within the client's time-out is an
    error.
    """
    if rng.random() < 0.4:
        kind = rng.choice(["application/json", "text/plain", "multipart/form-data", ""])
        path = rng.choice(["/recommend", "/recommend", "/reload", "/popular"])
        return client.post(path, content=body(rng), headers={"Content-Type": kind})
    path = rng.choice([*PATHS[:4], *PATHS]).format(quote(rng.choice(TEXTS), safe=""))
    names = [
        "n",
        "offset",
        "genre",
        "exclude",
        "explain",
        "query",
        "year_from",
        "where",
        "page",
        "user_id",
        "window",
        "\udcff".encode("utf-8", "replace").decode(),
    ]
    options = [
        (rng.choice(names), str(rng.choice([*TEXTS, *NUMBERS, 5]))) for _ in range(rng.randrange(4))
    ]
    method = rng.choice(["GET"] * 8 + ["PUT", "DELETE", "HEAD", "PATCH"])
    return client.request(
        method, path, params=options, headers={"X-Request-Id": rng.choice(["a", "é".encode()])}
    )


def break_off(port: int, rng: random.Random) -> None:
    """A client that goes away in the middle of its request."""
    whole = (
        b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Type: "
        b"application/json\r\nContent-Length: 900\r\n\r\n{"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(whole[: rng.randrange(1, len(whole) + 1)])
