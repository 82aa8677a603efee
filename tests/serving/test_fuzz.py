"""Callers that misbehave get an error of theirs, never one of ours, and always an answer."""

import random

from tests.support import fuzz
from tests.support.endpoint_process import EndpointProcess


def test_no_garbage_makes_a_server_error_or_waits(endpoint: EndpointProcess) -> None:
    endpoint.reload(2)
    rng = random.Random(5)
    for number in range(600):
        if number % 20 == 0:
            fuzz.break_off(endpoint.port, rng)
        answer = fuzz.send(endpoint.client, rng)
        assert answer.status_code in fuzz.DOCUMENTED, (answer.request.url, answer.text)
    assert endpoint.client.get("/recommend/u1").status_code == 200
