"""What an endpoint of an object store does beside answering, in a process of its own: it learns of
takedowns, begins with production when it has nothing, and lets go of what was removed.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable

from filelock import Timeout

from movierec_serving import logs
from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.bundle.publications import Publications
from movierec_serving.errors import MovierecError
from movierec_serving.events.trouble import Trouble
from movierec_serving.model.blocklist import Blocklist
from movierec_serving.model.cache import drop_removed
from movierec_serving.model.pointer import Pointer
from movierec_serving.model.reload import begin_on_production, versions_in_use
from movierec_serving.model.takedowns import POLL, TakedownLog
from movierec_serving.orphans import die_with_parent
from movierec_serving.settings import ServingSettings

TIMEOUT = 2.0  # seconds for one request of a look
TIDY = 60.0  # seconds between two looks at what was removed
logger = logging.getLogger(__name__)


class Follower:
    """One endpoint's looks at the store, each at its own pace, each for itself."""

    def __init__(self, settings: ServingSettings, url: str) -> None:
        self._models, self._pointer = settings.store, Pointer.open(settings.pointer)
        self._blocklist = Blocklist(settings.store, TakedownLog(ObjectStore(url, TIMEOUT)))
        self._shared = Publications(ObjectStore(url), own=settings.shard)
        self._tidied = time.monotonic()

    def look_for_takedowns(self) -> None:
        self._blocklist.follow()

    def look_for_versions(self) -> None:
        begin_on_production(self._models, self._pointer, self._shared)
        if time.monotonic() - self._tidied > TIDY:
            drop_removed(self._models, versions_in_use(self._models), self._shared)
            self._tidied = time.monotonic()


def repeat(look: Callable[[], None]) -> None:
    """Look for ever; what goes wrong is logged once, until it goes well or goes wrong otherwise."""
    pause, trouble = threading.Event(), Trouble(logger, look.__name__)
    while True:
        try:
            look()
            trouble(None)
        except (MovierecError, OSError, Timeout) as error:
            trouble(error)
        pause.wait(POLL)


def main(parent: int, port: int) -> None:
    die_with_parent(parent)
    settings = ServingSettings(serving_port=port)
    logs.configure(settings.log_format)
    assert settings.object_store is not None
    follower = Follower(settings, settings.object_store)
    # A version that takes minutes to come must not hold up a takedown.
    threading.Thread(target=repeat, args=(follower.look_for_versions,), daemon=True).start()
    repeat(follower.look_for_takedowns)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
