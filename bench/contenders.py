"""What people would serve recommendations with instead, in processes of their own, on the same published model."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from bench.endpoint import Server
from movierec_serving.bundle import Evidence, PublishedModel, top_items

PROCESSES = 2  # that answer, as ours has


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
from bench.contenders import PROCESSES, listed, opened

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
    import mlflow

    from movierec_assets.resources import model_registry

    path = home / "mlflow"
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


def opened(home: Path | str) -> PublishedModel:
    return PublishedModel.open(Path(home) / "warehouse" / "models", 1)


def listed(model: PublishedModel, user_id: str) -> dict[str, Any]:
    row = model.bundle.user_row(user_id) or 0
    return answer(model, model.top_items[row, :10].tolist(), model.top_scores[row, :10].tolist())


def ranked(model: PublishedModel, vector: Any, seen: Any) -> dict[str, Any]:
    """By our kernel, one user at a time."""
    bundle = model.bundle
    items, scores = top_items(bundle.item_factors, vector[None], [seen], 10, longest=bundle.longest_item)
    return answer(model, items[0].tolist(), scores[0].tolist())


def ranked_by_numpy(model: PublishedModel, vector: Any, seen: Any) -> dict[str, Any]:
    """As one would write it."""
    scores = model.bundle.item_factors @ vector
    scores[seen] = -np.inf
    best = np.argpartition(-scores, 10)[:10]
    best = best[np.argsort(-scores[best])]
    return answer(model, best.tolist(), scores[best].tolist())


def answer(model: PublishedModel, items: list[int], scores: list[float]) -> dict[str, Any]:
    rows = [
        {**model.card(item), "score": round(score, 6), "source": "als"}
        for item, score in zip(items, scores, strict=True)
    ]
    return {
        "model_version": 1, "data_until": "2019-11-21", "recommendation_id": "1-0123456789abcdef01234567",
        "source": "als", "items": rows,
    }  # fmt: skip


def app() -> Any:
    """FastAPI's, in each of uvicorn's processes."""
    from fastapi import FastAPI, Request, Response
    from pydantic import BaseModel

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


def users(model: PublishedModel, count: int = 500) -> list[str]:
    """Those that the benchmark asks about."""
    rows = np.random.default_rng(1).integers(0, len(model.bundle.user_ids), count)
    return [model.bundle.user_id(int(row)) for row in rows]


def contend(name: str, home: str, port: int) -> None:
    """In a process of its own: serve with what `name` says."""
    if name == "litserve predict":
        import litserve as ls

        class Plain(ls.LitAPI):  # type: ignore[misc]
            """LitServe as its documentation has it."""

            def setup(self, device: str) -> None:
                self.model = opened(home)

            def decode_request(self, request):  # type: ignore[no-untyped-def] # as its documentation has it
                return str(request["user_id"])

            def predict(self, user_id: str) -> dict[str, Any]:
                return listed(self.model, user_id)

            def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
                return output

        server = ls.LitServer(Plain(api_path="/recommend"), accelerator="cpu")
        server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning")
        return
    import uvicorn

    os.environ |= {"CONTENDER": name, "CONTENDER_HOME": home}
    uvicorn.run(
        "bench.contenders:app", factory=True, host="127.0.0.1", port=port, workers=PROCESSES,
        log_level="warning", access_log=False,
    )  # fmt: skip


if __name__ == "__main__":
    contend(sys.argv[1], sys.argv[2], int(sys.argv[3]))
