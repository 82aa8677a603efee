"""What users did lately, as answers need it: what the model does not know of them.

Where it is kept is `events/`'s; how it changes a list is `http/recommender.py`'s.
"""

import logging
from collections import OrderedDict
from collections.abc import Sequence

from movierec_serving.bundle import PublishedModel
from movierec_serving.errors import EventStoreError
from movierec_serving.events import KeptEvent, Said, what_was_said
from movierec_serving.events.log import Chunk, EventLog
from movierec_serving.events.trouble import Trouble

logger = logging.getLogger(__name__)

KEPT = 2000  # users of whom a process keeps what the store said


class Lately:
    """One process's view of the log, for the model that it answers from."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._known: OrderedDict[str, tuple[PublishedModel, int, Said]] = OrderedDict()
        self._learned: tuple[PublishedModel, frozenset[Chunk], str] | None = None
        self._trouble = Trouble(logger, "answered without what users did lately")

    def of(self, model: PublishedModel, user_id: str) -> Said | None:
        """What a user did that the model does not know; None if nothing, mostly without asking
        anybody.

        An unreachable store is logged, and the answer is the model's alone: a list that knows less
        is worth more than none.
        """
        if not self.log.perhaps_fresh(user_id):
            return None
        changes = self.log.changes_of(user_id)
        known = self._known.get(user_id)
        if known is not None and known[0] is model and known[1] == changes:
            return known[2] or None
        store = self.log.store
        try:
            kept, seen = store.of_user(user_id), store.seen.by(user_id)
        except EventStoreError as error:
            self._trouble(error)
            return None
        self._trouble(None)
        chunks, oldest = self._chunks(model)
        said = what_was_said(
            kept, self.log.types, lambda kept_event: _has(kept_event, chunks, oldest)
        )
        for rating in seen:
            if rating.day >= oldest and (rating.day, rating.data_version) not in chunks:
                said.hidden.add(rating.movie_id)
                said.stars.setdefault(rating.movie_id, rating.stars)
        if changes is not None:
            self._known[user_id] = (model, changes, said)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return said or None

    def renew(self, models: Sequence[PublishedModel]) -> None:
        """Mark anew who did something that one of these models does not know.

        While the store does not say who, it is asked for each user.
        """
        known = [frozenset(model.bundle.manifest.partitions) for model in models]
        try:
            self.log.renew(frozenset.intersection(*known) if known else ())
        except EventStoreError as error:
            logger.warning("%s: it is asked for each user", error)
            self.log.ask_for_all()
        finally:  # a fork must not carry over what is open, and a thread of a pool keeps it
            self.log.store.close()

    def _chunks(self, model: PublishedModel) -> tuple[frozenset[Chunk], str]:
        """The chunks that a model was trained on, and the first day of them."""
        known = self._learned
        if known is None or known[0] is not model:
            chunks = frozenset(model.bundle.manifest.partitions)
            self._learned = known = (model, chunks, min(chunks, default=("", ""))[0])
        return known[1], known[2]


def _has(kept: KeptEvent, chunks: frozenset[Chunk], oldest: str) -> bool:
    """Whether a model of these chunks has learned an event."""
    if kept.delivery is None:
        return False
    return kept.delivery < oldest or (kept.delivery, kept.data_version or "") in chunks
