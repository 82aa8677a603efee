"""What people would serve recommendations with instead, in processes of their own, on the same
published model.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

from bench.serving.endpoint import Server
from bench.serving.lists import opened


def contenders(home: Path) -> dict[str, Server]:
    """By name; BentoML where BENCH_BENTOML names the python of an environment that has it."""
    python = sys.executable
    servers = {
        f"fastapi {how}": Server(
            [python, "-m", "bench.serving.fastapi_lists", how, str(home), "{port}"], home
        )
        for how in ("pydantic", "bytes", "kernel", "numpy")
    }
    servers["litserve predict"] = Server(
        [python, "-m", "bench.serving.litserve_lists", str(home), "{port}"], home
    )
    command = (
        "mlflow models serve --env-manager local --workers 2 --host 127.0.0.1 --port "
        "{port} --model-uri"
    )
    servers["mlflow serve"] = Server(
        [python, "-m", *command.split(), str(_mlflow_model(home))], home
    )
    if bento := os.environ.get("BENCH_BENTOML"):
        (home / "service.py").write_text(BENTO.format(home=str(home)))
        command = "bentoml serve service:Recommend --host 127.0.0.1 --port {port}"
        servers["bentoml"] = Server([bento, "-m", *command.split()], home, BENTOML_DO_NOT_TRACK="1")
    return servers


BENTO = """
import bentoml
from bench.serving.lists import PROCESSES, listed, opened

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

    from movierec_assets.resources.registry import mlflow_bundle

    path = home / "mlflow"
    warnings.filterwarnings("ignore", message=".*(type hint|input example)", category=UserWarning)
    mlflow.pyfunc.save_model(
        path,
        python_model=str(Path(mlflow_bundle.__file__).with_name("pyfunc_model.py")),
        artifacts={"bundle": str(_bundle(home))},
        code_paths=[str(Path(sys.modules["movierec_serving"].__path__[0]))],
        pip_requirements=mlflow_bundle.REQUIREMENTS,
        signature=mlflow_bundle.signature(),
    )
    return path


def _bundle(home: Path) -> Path:
    """The bundle alone: what a version has beside it is the publication's."""
    version, path = home / "warehouse" / "models" / "1", home / "bundle"
    path.mkdir()
    model = opened(home)
    for name in (*model.bundle.manifest.files, "manifest.json"):
        os.link(version / name, path / name)
    return path
