"""Ratings of files that are newer than a model: what users have seen, whatever version is served.

A chunk's ratings count once it is accepted. What people send as events is `store.py`'s.
"""

from collections.abc import Iterable
from typing import NamedTuple

from movierec_serving.events.database import Database
from movierec_serving.events.tables import count


class SeenRating(NamedTuple):
    """A validated rating; `day` and `data_version` name its chunk as models record it."""

    movie_id: str
    stars: float
    day: str
    data_version: str


class SeenRatings:
    """The validated ratings of each day's and source's accepted chunk.

    Every method raises EventStoreError where the database is full, locked or not to be reached;
    then nothing has changed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, day: str, source: str, data_version: str, ratings: Iterable[tuple[str, str, float]]
    ) -> None:
        """Enter ratings (user, movie, stars) of a chunk, which count once it is accepted."""
        with self._database.transaction() as change:
            change.insert(
                "seen (day, source, data_version, user_id, movie_id, stars)",
                [(day, source, data_version, *rating) for rating in ratings],
            )

    def accept(self, day: str, source: str, data_version: str) -> list[str]:
        """Let a chunk be all that its source says of a day, whatever it said before; the users
        whom this concerns.
        """
        with self._database.transaction() as change:
            number = count(change, 1)
            users = change.execute(
                "SELECT DISTINCT user_id FROM seen WHERE day = ? AND source = ?", (day, source)
            )
            change.execute("DELETE FROM accepted WHERE day = ? AND source = ?", (day, source))
            change.insert(
                "accepted (day, source, data_version, change)",
                [(day, source, data_version, number)],
            )
            change.execute(
                "DELETE FROM seen WHERE day = ? AND source = ? AND data_version <> ?",
                (day, source, data_version),
            )
        return [user for (user,) in users]

    def drop(self, day: str, source: str, data_version: str) -> None:
        """Let go of the ratings of a chunk."""
        with self._database.transaction() as change:
            change.execute(
                "DELETE FROM seen WHERE day = ? AND source = ? AND data_version = ?",
                (day, source, data_version),
            )

    def accepted(self) -> dict[tuple[str, str], str]:
        """The data version of each (day, source) that is in the index."""
        rows = self._database.read("SELECT day, source, data_version FROM accepted")
        return {(day, source): version for day, source, version in rows}

    def by(self, user_id: str) -> list[SeenRating]:
        """A user's ratings of the chunks in the index, by day."""
        rows = self._database.read(
            "SELECT movie_id, stars, day, data_version FROM seen "
            "JOIN accepted USING (day, source, data_version) "
            "WHERE user_id = ? ORDER BY day",
            (user_id,),
        )
        return [SeenRating(*row) for row in rows]
