"""Takedowns that hold at every endpoint of an object store, from their acknowledgement on.

The store has a log, `takedowns/1`, `takedowns/2`, …: each entry is created once and holds the whole
list after a change. An endpoint looks for a newer one every `POLL` seconds. One that could not look
for `LEASE` seconds answers no list until it can, and whoever changes something waits `LEASE` before
the acknowledgement. So no endpoint that answers has missed what was acknowledged, and nobody has to
know which endpoints there are. It rests on the store's promise that an object is seen from its
creation on, which S3, Google and Azure make.
"""

import secrets
import threading
from collections.abc import Callable

from pydantic import ValidationError

from movierec_serving.bundle.documents import Strict
from movierec_serving.bundle.object_store import ObjectStore
from movierec_serving.errors import StoreError

FOLDER = "takedowns"
POLL = 2.0  # seconds between two looks
LEASE = 10.0  # seconds; several looks, so that a slow store stops nobody
TRIES = 20  # changes of others that one change gives way to


class Takedowns(Strict):
    """The blocked ids after the change `number`, whose `entry` no other has, also in another log of
    the same name.
    """

    number: int
    ids: frozenset[str]
    entry: str


NONE = Takedowns(number=0, ids=frozenset(), entry="")  # before the first change


class TakedownLog:
    """The log of one store. Every method raises StoreError when the store does not answer."""

    def __init__(self, store: ObjectStore, lease: float = LEASE) -> None:
        self.store, self.lease = store, lease

    def has(self, known: Takedowns) -> bool:
        """Whether this is an entry of the log; it may have been lost and begun anew."""
        return known.number > 0 and self._read(known.number) == known

    def newest(self, known: Takedowns) -> Takedowns:
        """The last entry, looked for from one that is `known`."""
        number, step = known.number, 1
        while self._is_there(number + step):
            number, step = number + step, 2 * step
        while step > 1:
            step //= 2
            if self._is_there(number + step):
                number += step
        return known if number == known.number else self._read(number)

    def change(
        self, known: Takedowns, changed: Callable[[frozenset[str]], frozenset[str]]
    ) -> Takedowns:
        """Append what `changed` makes of the last entry; the last one if that is the same."""
        for _ in range(TRIES):
            last = self.newest(known)
            ids = changed(last.ids)
            if ids == last.ids:
                return last
            after = Takedowns(number=last.number + 1, ids=ids, entry=secrets.token_hex(8))
            if self.store.create(_name(after.number), after.model_dump_json().encode()):
                return after
        raise StoreError(f"{self.store.url}/{FOLDER}: too many others change it; try again")

    def wait(self) -> None:
        """Wait until every endpoint that answers knows the log's changes."""
        threading.Event().wait(self.lease)

    def _is_there(self, number: int) -> bool:
        return self.store.size(_name(number)) is not None

    def _read(self, number: int) -> Takedowns:
        content = self.store.read(_name(number))
        if content is None:
            return NONE
        try:
            return Takedowns.model_validate_json(content)
        except ValidationError as error:
            raise StoreError(f"{self.store.url}/{_name(number)}: damaged") from error


def _name(number: int) -> str:
    return f"{FOLDER}/{number}"
