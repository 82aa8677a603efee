"""Everybody's lists on Spark are the local ones, byte by byte, or nothing is published."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from movierec_assets.errors import SparkError
from movierec_assets.resources.spark_driver import Launch, SparkDriver
from movierec_assets.resources.spark_lists import SparkLists
from movierec_assets.settings import settings
from movierec_assets.training.spark_lists import work_out
from movierec_serving.bundle import Ranking, publish
from movierec_serving.bundle.everybody import BLOCK
from movierec_serving.bundle.publication import PLAIN
from tests.assets.test_spark import needs_spark
from tests.conftest import ROOT, Platform
from tests.support import sample_models as models
from tests.support.generate import days_from

USERS = 2 * BLOCK + 100  # three blocks


def published(
    folder: Path, store: str, launch: Launch | None = None, ranking: Ranking = PLAIN
) -> dict[str, bytes]:
    """The files of a version whose lists such a driver worked out; without one, this process."""
    content = models.content(users=USERS)
    if not (folder / "bundle").exists():
        models.write(folder / "bundle", content)
    give = partial(publish, folder / "bundle", folder / store, 1, models.movies(content), ranking)
    if launch is None:
        version = give()
    else:
        version = give(SparkLists(SparkDriver("local[2,4]", folder / "lists", launch)))
    return {file.name: file.read_bytes() for file in version.iterdir()}


@needs_spark
def test_lists_worked_out_on_spark_are_the_local_ones_though_an_executor_is_killed(
    tmp_path: Path,
) -> None:
    def launch(command: Sequence[str]) -> None:
        program = [sys.executable, "-m", "tests.support.dying_lists", *command[-2:]]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run(program, check=True, cwd=tmp_path, env=environment)

    ranking = Ranking(popularity_correction=0.2, calibration=0.3)
    on_spark = published(tmp_path, "spark", launch, ranking)
    assert on_spark == published(tmp_path, "here", ranking=ranking)
    assert (tmp_path / "killed.txt").exists()
    # Executors need no movierec of their own, and use none of another version.
    assert "code.zip" in (tmp_path / "source.txt").read_text()
    assert not (tmp_path / "lists").exists()


@needs_spark
def test_a_deployment_whose_lists_cannot_be_worked_out_on_spark_publishes_nothing(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    (day,) = days_from("1998-03-02", 1)
    platform.deliver(day)
    assert platform.run(day).success
    monkeypatch.setenv("MOVIEREC_TRAINER", "spark")
    monkeypatch.setenv("MOVIEREC_SPARK_MASTER", "local[nowhere]")
    settings.cache_clear()
    result = platform.run("-", job="deploy")
    error = result.failure_data_for_node("served_model").error
    assert "SparkError: no Spark at local[nowhere]" in str(error.cause or error)
    assert platform.wired.published_models.versions() == []


class HereAsSpark:
    """What the driver's program asks of Spark, one block at a time in this process.

    Attributes:
        lives: blocks until it dies.
    """

    defaultParallelism = 1  # noqa: N815, Spark's name

    def __init__(self, lives: int) -> None:
        self.lives, self.done = lives, 0

    def addPyFile(  # noqa: N802, Spark's name
        self, path: str
    ) -> None:
        assert Path(path).exists()

    def broadcast(self, value: Any) -> Any:
        return SimpleNamespace(value=value)

    def parallelize(self, pieces: Iterable[Any], _: int) -> Any:
        def mapped(work: Callable[[Any], Any]) -> Any:
            return SimpleNamespace(collect=lambda: self.worked_out(work, pieces))

        return SimpleNamespace(map=mapped)

    def worked_out(self, work: Callable[[Any], Any], pieces: Iterable[Any]) -> list[Any]:
        if self.done == self.lives:
            raise RuntimeError("killed")
        self.done += 1
        return [work(piece) for piece in pieces]


def test_a_killed_driver_publishes_nothing_and_the_next_one_goes_on_with_its_blocks(
    tmp_path: Path,
) -> None:
    def launched(context: HereAsSpark, command: Sequence[str]) -> None:
        work_out(context, Path(command[-1]), lambda _: None)

    with pytest.raises(SparkError, match="the driver was killed"):
        published(tmp_path, "store", partial(launched, HereAsSpark(2)))
    assert list((tmp_path / "store").iterdir()) == []
    torn = next((tmp_path / "lists").glob("000000000000-*.npy"))
    torn.write_bytes(torn.read_bytes()[:-1])
    second = HereAsSpark(3)
    assert published(tmp_path, "store", partial(launched, second)) == published(tmp_path, "here")
    assert second.done == 2  # the torn one, and the one that lacked


def test_blocks_of_another_question_are_not_gone_on_with(tmp_path: Path) -> None:
    def launched(context: HereAsSpark, command: Sequence[str]) -> None:
        work_out(context, Path(command[-1]), lambda _: None)

    with pytest.raises(SparkError):
        published(tmp_path, "store", partial(launched, HereAsSpark(2)))
    models.write(tmp_path / "other", models.content(users=USERS, seed=2), identity="other")
    (tmp_path / "bundle").rename(tmp_path / "first")
    (tmp_path / "other").rename(tmp_path / "bundle")
    second = HereAsSpark(3)
    assert published(tmp_path, "store", partial(launched, second)) == published(tmp_path, "here")
    assert second.done == 3
