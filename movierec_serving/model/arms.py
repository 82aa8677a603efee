"""The experiment that this process follows, and the versions of its arms, opened.

Which user has which arm is the experiment's own business, in `bundle/experiment.py`.
"""

import logging
import threading
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock

from movierec_serving import metrics
from movierec_serving.bundle import BundleError, PublishedModel
from movierec_serving.bundle.experiment import FILE, INTERLEAVED, POPULAR, Arm, Experiment
from movierec_serving.bundle.files import replace_file
from movierec_serving.bundle.publications import Publications
from movierec_serving.bundle.ranking import Ranking
from movierec_serving.errors import ReloadRefusedError
from movierec_serving.model.cache import make_ready
from movierec_serving.model.pointer import Pointer

logger = logging.getLogger(__name__)

PAUSE = 1.0  # seconds before a version that cannot be opened is tried again


@dataclass(frozen=True, eq=False)
class InArm:
    """What a user's arm is answered from; `model` is None where it is production's.

    Attributes:
        both: the arms that a list is drafted from, the control first; `salt` is their experiment's.
    """

    name: str
    model: PublishedModel | None = None
    popular: bool = False
    failed: bool = False  # the arm's version cannot be opened, so production answers
    both: tuple["InArm", ...] = ()
    salt: str = ""
    ranking: Ranking | None = None

    def of(self, model: PublishedModel) -> "InArm":
        """The same arm, answered from another version."""
        ranked = model if self.ranking is None else model.ranked_by(self.ranking)
        return replace(self, model=ranked)

    @cached_property
    def named(self) -> dict[str, Any]:
        """The fields by which answers and the log name the arm."""
        return {"arm": self.name, **({"arm_failed": True} if self.failed else {})}


class Arms:
    """The experiment in the store's file, and a mapped number that moves with each change.

    A process compares the number as a request begins, as it does with the version. So a request
    sent after the acknowledgement is answered by the new experiment, in every process. An arm that
    is broken never costs an answer: production's takes its place, and says so.
    """

    def __init__(self, store: Path, shared: Publications | None = None) -> None:
        self._store, self._path, self._shared = store, store / FILE, shared
        self._generation = Pointer.open(store / ".experiment.generation")
        self._lock = threading.Lock()
        self._known: tuple[int, Experiment | None] | None = None
        self._open: dict[int, PublishedModel] = {}
        self._tried: dict[int, float] = {}
        self._sound: dict[str, InArm] = {}

    @property
    def open_versions(self) -> set[int]:
        """The versions that this process has open for arms."""
        return set(self._open)

    def experiment(self) -> Experiment | None:
        """The experiment under way; None without one, and, with a log line, for a damaged file."""
        generation, known = self._generation.load(), self._known
        if known is None or known[0] != generation:
            with self._lock:
                experiment = read_experiment(self._store)
                versions = {arm.version for arm in experiment.arms} if experiment else set()
                self._open = {key: model for key, model in self._open.items() if key in versions}
                self._tried, self._sound = {}, {}
                self._known = known = (generation, experiment)
        return known[1]

    def of(self, user_id: str) -> InArm | None:
        """The user's arm, ready to answer; None for whoever takes no part."""
        experiment = self.experiment()
        arm = experiment.arm_of(user_id) if experiment else None
        if experiment is None or arm is None:
            return None
        return self._interleaved(experiment) if experiment.interleave else self._ready(arm)

    def _interleaved(self, experiment: Experiment) -> InArm:
        """Both arms in one; an arm that failed alone, as its users would have it."""
        both = tuple(self._ready(arm) for arm in experiment.arms)
        failed = next((arm for arm in both if arm.failed), None)
        if failed is not None:
            return failed
        sound = InArm(INTERLEAVED, both=both, salt=experiment.salt)
        return self._sound.setdefault(INTERLEAVED, sound)

    def _ready(self, arm: Arm) -> InArm:
        sound = self._sound.get(arm.name)
        if sound is not None:
            return sound
        model = self._opened(arm.version) if arm.version else None
        if arm.version and model is None:
            metrics.count(metrics.ARM_FAILURES, arm.name)
            return InArm(arm.name, failed=True)
        made = InArm(arm.name, popular=arm.name == POPULAR, ranking=arm.ranking)
        self._sound[arm.name] = sound = made if model is None else made.of(model)
        return sound

    def follow(self, experiment: Experiment) -> None:
        """Carry out `experiment`, once each version that is new to it stood a reload's check.

        Raises:
            ReloadRefusedError: nothing was changed; the message names the arm.
        """
        before = self.experiment()
        if before is not None and before.name == experiment.name and not experiment.keeps(before):
            raise ReloadRefusedError(
                "refused", 409, f"{experiment.name} is under way: users of it would change arm"
            )
        known = {arm.version for arm in before.arms} if before else set()
        for arm in experiment.arms:
            if arm.version is None or arm.version in known:
                continue
            try:
                make_ready(self._store, arm.version, self._shared)
            except ReloadRefusedError as error:
                cause = f"{arm.name}: {error}"
                raise ReloadRefusedError(error.result, error.status, cause) from error
        self.set(experiment)

    def set(self, experiment: Experiment | None) -> None:
        """Set the experiment, None to end it; every process sees it when this returns."""
        with FileLock(self._store / ".experiment.lock", timeout=10.0):
            if experiment is None:
                self._path.unlink(missing_ok=True)
            else:
                replace_file(self._path, experiment.to_json().encode())
            self._generation.store(self._generation.load() + 1)

    def _opened(self, version: int) -> PublishedModel | None:
        with self._lock:
            if version in self._open:
                return self._open[version]
            if time.monotonic() < self._tried.get(version, 0.0):
                return None
            try:
                self._open[version] = model = PublishedModel.open(self._store, version)
            except (BundleError, OSError) as error:
                self._tried[version] = time.monotonic() + PAUSE
                logger.error("version %d of an arm: %s", version, error)
                return None
            return model


def read_experiment(store: Path) -> Experiment | None:
    """The experiment of a store; None if there is none, or its file is damaged."""
    path = store / FILE
    try:
        return Experiment.from_json(path.read_bytes(), str(path))
    except FileNotFoundError:
        return None
    except (BundleError, OSError) as error:
        logger.error("%s: nobody is in an experiment", error)
        return None


def versions_of(store: Path) -> set[int]:
    """The versions that the arms of a store's experiment need."""
    experiment = read_experiment(store)
    return {arm.version for arm in experiment.arms if arm.version} if experiment else set()
