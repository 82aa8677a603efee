"""What people would serve recommendations with instead, in processes of their own, on the same published model."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import litserve as ls
import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from bench.endpoint import Server
from bench.lists import PROCESSES, listed, opened, ranked, ranked_by_numpy, users
from movierec_serving.bundle import Evidence


def contenders(home: Path) -> dict[str, Server]:
    """By name; BentoML where BENCH_BENTOML names the python of an environment that has it."""
    python, own = sys.executable, ["-m", "bench.contenders"]
    found = {
        name: Server([python, *own, name, str(home), "{port}"], home)
        for name in (
            "fastapi pydantic",
            "fastapi bytes",
            "fastapi kernel",
            "fastapi numpy",
            "litserve predict",
        )
    }
    command = "mlflow models serve --env-manager local --workers 2 --host 127.0.0.1 --port {port} --model-uri"
    found["mlflow serve"] = Server([python, "-m", *command.split(), str(_mlflow_model(home))], home)
    if bento := os.environ.get("BENCH_BENTOML"):
        (home / "service.py").write_text(BENTO.format(home=str(home)))
        command = "bentoml serve service:Recommend --host 127.0.0.1 --port {port}"
        found["bentoml"] = Server([bento, "-m", *command.split()], home, BENTOML_DO_NOT_TRACK="1")
    return found


BENTO = """
import bentoml
from bench.lists import PROCESSES, listed, opened

@bentoml.service(workers=PROCESSES)
class Recommend:
    def __init__(self) -> None:
        self.model = opened({home!r})

    @bentoml.api
    def recommend(self, user_id: str) -> dict:
        return listed(self.model, user_id)
"""


def _mlflow_model(home: Path) -> Path:
    """As a registered version is logged: models from code, the bundle as its artifact."""
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    import mlflow

    from movierec_assets.resources import model_registry

    path = home / "mlflow"
    warnings.filterwarnings("ignore", message=".*(type hint|input example)", category=UserWarning)
    mlflow.pyfunc.save_model(
        path, python_model=str(Path(model_registry.__file__).with_name("pyfunc_model.py")),
        artifacts={"bundle": str(_bundle(home))}, code_paths=[str(Path(sys.modules["movierec_serving"].__path__[0]))],
        pip_requirements=model_registry._requirements(), signature=model_registry._signature(),
    )  # fmt: skip
    return path


def _bundle(home: Path) -> Path:
    """The bundle alone: what a version has beside it is the publication's."""
    version, path = home / "warehouse" / "models" / "1", home / "bundle"
    path.mkdir()
    model = opened(home)
    for name in (*model.bundle.manifest.files, "manifest.json"):
        os.link(version / name, path / name)
    return path


class Item(BaseModel):
    movie_id: str
    title: str | None
    genres: list[str]
    score: float
    source: str


class Recommendations(BaseModel):
    recommendation_id: str
    model_version: int
    data_until: str
    source: str
    items: list[Item]


def app() -> Any:
    """FastAPI's, in each of uvicorn's processes."""
    name, model, made = os.environ["CONTENDER"], opened(os.environ["CONTENDER_HOME"]), FastAPI()
    bundle, rank = model.bundle, ranked_by_numpy if name == "fastapi numpy" else ranked
    bodies: dict[str, bytes] = {}
    if name == "fastapi bytes":
        bodies = {id_: json.dumps(listed(model, id_)).encode() for id_ in users(model)}

        @made.get("/recommend/{user_id}")
        async def get_bytes(user_id: str) -> Response:
            return Response(bodies[user_id], media_type="application/json")

    # Handlers that wait for nothing, as "async": in a thread each would cost half as much again.
    @made.get("/recommend/{user_id}", response_model=Recommendations)
    async def get(user_id: str) -> Any:
        if name == "fastapi pydantic":
            return listed(model, user_id)
        row = bundle.user_row(user_id) or 0
        return rank(model, bundle.user_factors[row], bundle.seen(row))

    @made.post("/recommend", response_model=Recommendations)
    async def fold_in(request: Request) -> Any:
        rated = (await request.json())["ratings"]
        evidence = Evidence.of_ratings(
            bundle, {bundle.item_row(one["movie_id"]) or 0: one["rating"] for one in rated}
        )
        return rank(model, evidence.factors(), evidence.rows)

    return made


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


def contend(name: str, home: str, port: int) -> None:
    """In a process of its own: serve with what `name` says."""
    if name == "litserve predict":
        server = ls.LitServer(Plain(home), accelerator="cpu")
        server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning")
        return
    os.environ |= {"CONTENDER": name, "CONTENDER_HOME": home}
    uvicorn.run(
        "bench.contenders:app", factory=True, host="127.0.0.1", port=port, workers=PROCESSES,
        log_level="warning", access_log=False,
    )  # fmt: skip


if __name__ == "__main__":
    contend(sys.argv[1], sys.argv[2], int(sys.argv[3]))
