"""Dagster's private names that tests and benches use, which another version may lack.

Public names are imported from `dagster` where they are used.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._core.test_utils import (
    InProcessTestWorkspaceLoadTarget,
    create_test_daemon_workspace_context,
    freeze_time,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._utils.interrupts import capture_interrupts, setup_interrupt_handlers


def what_the_ui_is_given(definitions: dg.Definitions) -> str:
    """The code location as the webserver gets it, in JSON."""
    return dg.serialize_value(RepositorySnap.from_def(definitions.get_repository_def()))


def tick_sensors(module: str, later_s: float = 0.0) -> None:
    """One iteration of the sensor daemon over a module's definitions, so many seconds later."""
    loadable = LoadableTargetOrigin(executable_path=sys.executable, module_name=module)
    origin = InProcessCodeLocationOrigin(loadable, location_name="movierec")
    futures: dict[str, Future[Any]] = {}
    with (
        dg.DagsterInstance.get() as instance,
        create_test_daemon_workspace_context(
            InProcessTestWorkspaceLoadTarget(origin), instance
        ) as context,
        freeze_time(time.time() + later_s),
    ):
        log = logging.getLogger("tick")
        for _ in execute_sensor_iteration(context, log, None, None, futures):
            pass


def interrupts_as_a_run_worker() -> None:
    """Let SIGTERM interrupt this process as it does a run worker."""
    setup_interrupt_handlers()


@contextmanager
def interruptible() -> Iterator[None]:
    """A block in which an interrupt is raised where Dagster looks for one."""
    with capture_interrupts():
        yield
