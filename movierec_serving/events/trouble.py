"""What fails again and again, said once."""

import logging


class Trouble:
    """Logged when it begins, when its cause is another one, and when it is over.

    A store that is away for an hour would else fill the log, by each look and each answer.
    """

    def __init__(self, logger: logging.Logger, what: str) -> None:
        self._logger, self._what, self._cause = logger, what, ""

    def __call__(self, error: Exception | None) -> None:
        """Take note of how it went; None: well."""
        cause = "" if error is None else str(error)
        if cause != self._cause:
            self._logger.warning("%s: %s", self._what, cause or "well again")
        self._cause = cause
