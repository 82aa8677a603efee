"""A bundle as MLflow's model: a models-from-code pyfunc with its parameters, metrics and data."""

from __future__ import annotations

import json
import logging
import os
import time
import warnings
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from zipfile import ZIP_DEFLATED, ZipFile

import movierec_serving
from movierec_assets.resources.registry.version_tags import skip_search_for_packages
from movierec_serving.bundle import Bundle, Manifest

if TYPE_CHECKING:
    from mlflow import MlflowClient

REQUIREMENTS = [f"{name}=={version(name)}" for name in ("mlflow", "numpy", "pydantic")]
logger = logging.getLogger(__name__)


def log_bundle(
    client: MlflowClient, run_id: str, bundle: Bundle, metrics: Mapping[str, float]
) -> Any:
    """Log a bundle to the active MLflow run, `run_id`; MLflow's description of the model."""
    import mlflow
    from mlflow.entities import Metric, Param

    skip_search_for_packages()
    manifest = bundle.manifest
    parameters = {
        **manifest.parameters,
        "family": manifest.family,
        "seed": manifest.seed,
        "fit": manifest.fit,
        "blas": manifest.blas,
        "data_until": manifest.data_until,
        "partitions_digest": manifest.partitions_digest,
    }
    client.log_batch(run_id, params=[Param(name, str(value)) for name, value in parameters.items()])
    with warnings.catch_warnings(), TemporaryDirectory() as staged:
        # MLflow asks for type hints and an example to validate inputs by: the signature does that
        warnings.filterwarnings(
            "ignore", message=".*(type hint|input example)", category=UserWarning
        )
        reader = Path(staged) / "reader.zip"
        reader.write_bytes(_reading_code())
        model = mlflow.pyfunc.log_model(
            name="bundle",
            python_model=str(Path(__file__).with_name("pyfunc_model.py")),
            artifacts={"bundle": str(bundle.path), "reader": str(reader)},
            pip_requirements=REQUIREMENTS,
            signature=signature(),
        )
    # After the model and with its id: MLflow would else copy the run's metrics to it, one by one.
    now = int(time.time() * 1000)
    logged = [Metric(name, value, now, 0, model.model_id) for name, value in metrics.items()]
    client.log_batch(run_id, metrics=logged)
    _log_dataset(client, run_id, manifest)
    _link_artifacts(bundle.path, client.get_logged_model(model.model_id).artifact_location)
    return model


@cache
def _reading_code() -> bytes:
    """The part of the endpoint that reads a bundle, as one file that Python imports from.

    As a folder MLflow would copy each of its files three times, for every model.
    """
    package, content = Path(movierec_serving.__file__).parent, BytesIO()
    with ZipFile(content, "w", ZIP_DEFLATED) as archive:
        for file in (*package.glob("*.py"), *sorted((package / "bundle").rglob("*.py"))):
            if file.parent != package or file.name in ("__init__.py", "errors.py"):
                archive.write(file, file.relative_to(package.parent))
    return content.getvalue()


def _log_dataset(client: MlflowClient, run_id: str, manifest: Manifest) -> None:
    """Name the data that a run's model was trained on.

    MLflow's own digest reads 10,000 rows only, and a digest holds 36 characters: the whole one is
    in `source`.
    """
    from mlflow.entities import Dataset, DatasetInput

    digest = manifest.partitions_digest
    source = json.dumps(
        {"table": "validated_ratings", "until": manifest.data_until, "partitions_digest": digest}
    )
    data = Dataset(name="validated_ratings", digest=digest[:36], source_type="local", source=source)
    client.log_inputs(run_id, [DatasetInput(data)])


def signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema

    columns = {
        "user_id": "string",
        "rank": "long",
        "movie_id": "string",
        "score": "double",
        "source": "string",
    }
    return ModelSignature(
        inputs=Schema([ColSpec("string", "user_id")]),
        outputs=Schema([ColSpec(kind, name) for name, kind in columns.items()]),
        params=ParamSchema([ParamSpec("n", "integer", 10)]),
    )


def _link_artifacts(bundle: Path, location: str) -> None:
    """Replace MLflow's copies of the bundle's files by hard links, where the file system can."""
    where = urlsplit(location)
    if where.scheme not in ("", "file"):
        return
    for file in bundle.iterdir():
        for copy in Path(unquote(where.path)).glob(f"artifacts/**/{file.name}"):
            linked = copy.with_name(f".{copy.name}.link")
            try:
                os.link(file, linked)
            except OSError as error:  # another file system: the copy stays
                logger.info("%s is kept as a copy: %s", copy, error)
                return
            linked.replace(copy)
