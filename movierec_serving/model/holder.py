"""The model that a process answers from: always the committed one."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movierec_serving import metrics, tracing
from movierec_serving.bundle import PublishedModel
from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.bundle.publications import Publications
from movierec_serving.bundle.shard import Shard
from movierec_serving.errors import (
    BlocklistError,
    BundleError,
    ModelUnavailableError,
    PageGoneError,
    PointerError,
)
from movierec_serving.events.shown import ShownLog
from movierec_serving.model.arms import Arms, versions_of
from movierec_serving.model.blocklist import Blocklist
from movierec_serving.model.lately import Lately
from movierec_serving.model.pointer import Pointer
from movierec_serving.model.takedowns import TakedownLog

logger = logging.getLogger(__name__)

# seconds of failing to open what is committed, after which a process gives way to a new one
PATIENCE = 3.0
EARLIER = 2  # versions that are kept open for those who read their pages
GONE = "the version of this page is no longer served: begin again without `page`"


def give_way() -> None:
    """End as on a stop, a moment later, so that the answer under way gets out; this process is
    replaced.
    """
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()


class ModelHolder:
    """Opens whatever version is committed, and re-opens when that moves.

    Each process has its own. A request asks once for `current()` and keeps that model to its end;
    an old one is unmapped when its last request lets go of it.
    """

    def __init__(
        self,
        store: Path,
        pointer: Path,
        give_up: Callable[[], None] = give_way,
        patience: float = PATIENCE,
        shown: ShownLog | None = None,
        lately: Lately | None = None,
        object_store: ObjectStore | None = None,
        shard: Shard | None = None,
        explore: float = 0.0,
    ) -> None:
        log = TakedownLog(object_store) if object_store else None
        # where versions come from; None: they are put into the folder
        self.shared = Publications(object_store, own=shard) if object_store else None
        try:
            self.pointer, self.blocklist = Pointer.open(pointer), Blocklist(store, log)
            self.arms = Arms(store, self.shared)
        except OSError as error:
            raise PointerError(f"{pointer}: {error.strerror or error}") from error
        self._store, self._give_up, self._patience = store, give_up, patience
        self.shown = shown  # where it is written down what was answered; None: nowhere
        self.lately = lately  # what users did; None: nobody keeps it
        self.explore = explore  # share of places for movies that nobody has rated
        self._lock = threading.Lock()
        self._model: PublishedModel | None = None
        self._earlier: dict[int, PublishedModel] = {}
        self._failing_since: float | None = None
        # The newest alone would be computed for each request where arms take turns.
        self._blocked: dict[int, tuple[PublishedModel, frozenset[str], NDArray[np.int64]]] = {}

    def current(self) -> PublishedModel:
        """The committed model.

        Raises:
            ModelUnavailableError: none is committed, or it cannot be opened; the next call tries
            again.
        """
        model = self._model
        if model is not None and model.version == self.pointer.load():
            return model
        with self._lock:
            version = self.pointer.load()
            if self._model is None or self._model.version != version:
                self._model = self._open(version)
            return self._model

    def at(self, version: int) -> PublishedModel:
        """A version whose pages somebody reads on; mostly the committed one.

        Raises:
            PageGoneError: the store does not have it any more.
            ModelUnavailableError: none is committed.
        """
        model = self.current()
        if model.version == version:
            return model
        if not (self._store / str(version)).is_dir():  # also where this process has it open
            raise PageGoneError(GONE)
        with self._lock:
            if version not in self._earlier:
                try:
                    opened = PublishedModel.open(self._store, version)
                except (BundleError, OSError) as error:
                    raise PageGoneError(GONE) from error
                for oldest in [*self._earlier][: 1 - EARLIER]:
                    del self._earlier[oldest]
                self._earlier[version] = opened
            return self._earlier[version]

    def open_early(self) -> None:
        """Open the committed version as a process starts, so that no request waits for it.

        If that fails, the next request says so.
        """
        metrics.opened(0)
        try:
            self.current()
        except ModelUnavailableError:
            logger.info("no model yet")

    def begin_events(self) -> None:
        """Begin to follow events; the process that starts the others does so once."""
        if self.lately is not None:
            self.renew_events()
            self.lately.log.follow()

    def renew_events(self, version: int | None = None) -> None:
        """Mark anew who did something that the committed model does not know, or `version`, which
        will take its place.
        """
        if self.lately is None:
            return
        models = []
        for number in {self.pointer.load(), version or 0} - {0} | versions_of(self._store):
            with suppress(BundleError, OSError):  # answers will say so
                models.append(PublishedModel.open(self._store, number))
        self.lately.renew(models)

    def blocked(self, model: PublishedModel) -> NDArray[np.int64]:
        """The rows of `model` that no list may contain.

        Raises:
            ModelUnavailableError: it is not known which; showing a movie that was taken off is
            worse.
        """
        try:
            ids = self.blocklist.ids()
        except BlocklistError as error:
            raise ModelUnavailableError(str(error)) from error
        known = self._blocked.get(model.version)
        if known is None or known[0] is not model or known[1] is not ids:
            known = (model, ids, model.catalogue.rows(list(ids)))
            is_open = {self.pointer.load(), *self.arms.open_versions}
            kept = {key: rows for key, rows in self._blocked.items() if key in is_open}
            self._blocked = {**kept, model.version: known}
        return known[2]

    def _open(self, version: int) -> PublishedModel:
        if version == 0:
            raise ModelUnavailableError("no model version has been deployed yet")
        try:
            with tracing.span("open", version=version):
                model = PublishedModel.open(self._store, version)
        except (BundleError, OSError) as error:
            logger.error("version %d: %s", version, error)  # its paths are not for callers
            now = time.monotonic()
            self._failing_since = now if self._failing_since is None else self._failing_since
            if now - self._failing_since > self._patience:
                logger.error(
                    "version %d cannot be opened for %g s: this process gives way",
                    version,
                    self._patience,
                )
                self._failing_since = now
                self._give_up()
            raise ModelUnavailableError(
                f"version {version} is committed and cannot be opened"
            ) from error
        self._failing_since = None
        metrics.opened(version)
        until = model.data_until
        logger.info("opened version %d, data until %s", version, until, extra={"version": version})
        return model
