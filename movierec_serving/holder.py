"""The model that a process answers from: always the committed one."""

import logging
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movierec_serving.blocklist import Blocklist, BlocklistError
from movierec_serving.bundle import BundleError, PublishedModel
from movierec_serving.pointer import Pointer, PointerError

logger = logging.getLogger(__name__)


class ModelUnavailableError(Exception):
    """There is no model to answer from; the message is the cause."""


class ModelHolder:
    """Opens whatever version is committed, and re-opens when that moves.

    Each process has its own. A request asks once for `current()` and keeps that model to its end;
    an old one is unmapped when its last request lets go of it.
    """

    def __init__(self, store: Path, pointer: Pointer, blocklist: Blocklist) -> None:
        self.pointer = pointer
        self.blocklist = blocklist
        self._store = store
        self._lock = threading.Lock()
        self._model: PublishedModel | None = None
        self._blocked: tuple[PublishedModel, frozenset[str], NDArray[np.int64]] | None = None

    @classmethod
    def of(cls, store: Path, pointer_path: Path) -> "ModelHolder":
        try:
            blocklist = Blocklist(pointer_path.with_name(f"{pointer_path.name}.blocked"))
            return cls(store, Pointer.open(pointer_path), blocklist)
        except OSError as error:
            raise PointerError(f"{pointer_path}: {error.strerror or error}") from error

    def current(self) -> PublishedModel:
        """The committed model.

        Raises:
            ModelUnavailableError: none is committed, or it cannot be opened; the next call tries again.
        """
        model = self._model
        if model is not None and model.version == self.pointer.load():
            return model
        with self._lock:
            version = self.pointer.load()
            if self._model is None or self._model.version != version:
                self._model = self._open(version)
            return self._model

    def blocked(self, model: PublishedModel) -> NDArray[np.int64]:
        """The rows of `model` that no list may contain.

        Raises:
            ModelUnavailableError: it is not known which; showing a movie that was taken off is worse.
        """
        try:
            ids = self.blocklist.ids()
        except BlocklistError as error:
            raise ModelUnavailableError(str(error)) from error
        known = self._blocked
        if known is None or known[0] is not model or known[1] is not ids:
            rows = [row for id_ in ids if (row := model.bundle.item_row(id_)) is not None]
            self._blocked = known = (model, ids, np.array(rows, dtype=np.int64))
        return known[2]

    def _open(self, version: int) -> PublishedModel:
        if version == 0:
            raise ModelUnavailableError("no model version has been deployed yet")
        try:
            model = PublishedModel.open(self._store, version)
        except (BundleError, OSError) as error:
            logger.error(
                "version %d: %s", version, error
            )  # the cause names paths, which callers must not see
            raise ModelUnavailableError(f"version {version} is committed and cannot be opened") from error
        logger.info("opened version %d, data until %s", version, model.data_until)
        return model
