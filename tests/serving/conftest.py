"""One endpoint for the tests that ask, a fresh one for those that disturb."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from movierec_serving.events.shown import ShownLog
from movierec_serving.model.holder import ModelHolder
from tests.support import sample_models as models
from tests.support.endpoint_process import EndpointProcess


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EndpointProcess]:
    """Running, with versions 1 to 3 in its store and 1 committed at first."""
    with sample_endpoint(tmp_path_factory.mktemp("endpoint")) as process:
        yield process


@contextmanager
def sample_endpoint(home: Path) -> Iterator[EndpointProcess]:
    """The same in a home of its own, for modules whose users do what changes their lists."""
    process = EndpointProcess(home)
    for version in (1, 2, 3):
        models.publish_version(process.store, version)
    try:
        process.start()
        assert process.reload(1).json() == {"version": 1, "previous": None, "changed": True}
        yield process
    finally:
        process.close()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of its own, with version 3."""
    store = tmp_path / "warehouse" / "models"
    models.publish_version(store, 3)
    return store


@pytest.fixture
def holder(store: Path, tmp_path: Path) -> ModelHolder:
    """Version 3 is production, 2 another one."""
    models.publish_version(store, 2)
    log = ShownLog(tmp_path / "shown", 1.0, lambda lost: None)
    holder = ModelHolder(store, store / ".serving-1", shown=log)
    holder.pointer.store(3)
    return holder


@pytest.fixture
def fresh(store: Path) -> Iterator[EndpointProcess]:
    """An endpoint that has not been started, with version 3 in its store."""
    process = EndpointProcess(store.parents[1])
    yield process
    process.close()
