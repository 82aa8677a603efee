"""The lists by LitServe's plain `predict` with its defaults: `python -m
bench.serving.litserve_lists HOME PORT`.
"""

from __future__ import annotations

import sys
from typing import Any

import litserve as ls

from bench.serving.lists import listed, opened


class Plain(ls.LitAPI):  # type: ignore[misc]
    """LitServe as its documentation has it."""

    def __init__(self, home: str) -> None:
        super().__init__(api_path="/recommend")
        self._home = home

    def setup(self, device: str) -> None:
        self.model = opened(self._home)

    def decode_request(self, request):  # type: ignore[no-untyped-def] # as its documentation has it
        return str(request["user_id"])

    def predict(self, user_id: str) -> dict[str, Any]:
        return listed(self.model, user_id)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    server = ls.LitServer(Plain(sys.argv[1]), accelerator="cpu")
    server.run(
        host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning"
    )
