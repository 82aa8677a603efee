"""Every error that the pipeline raises for a reason of its own: one tree, on this page.

What is a bug stays Python's own: a `KeyError` or a `ValueError` is never one of these, so that a
caller that expects an error of this page does not swallow a typo.

    MovierecError
    ├── NotReadyError          a day was asked for before what it needs
    ├── ChunkError             a delivered file cannot be read as a whole
    ├── DeclarationError       a source's declaration says something that cannot be
    ├── TableError             a source's table cannot be read, or not be trusted
    ├── LandingBucketError     files cannot be brought from the bucket in which they arrive
    ├── MissingChunkError      a file should lie in the landing zone and does not
    ├── AlteredChunkError      an archived chunk no longer has its sha256
    ├── UnavailableError       a copy of a data set cannot be had now
    ├── FetchError             a data set cannot be delivered as asked
    ├── WarehouseHeldError     another process does not let go of the warehouse
    ├── NewerWarehouseError    the warehouse was made by a newer movierec
    ├── ChangeError            a change of production makes no sense
    ├── RemovedError           a version's files were removed on purpose
    ├── RegistryLostError      MLflow no longer has the versions that it gave numbers to
    ├── RecoveryError          what was lost cannot be made again
    ├── BackupError            a backup cannot be made, or not be trusted
    ├── MoveError              records cannot be moved to another database
    ├── ForgetError            a user cannot be forgotten as asked
    ├── EndpointError          an endpoint did not do what it was asked
    ├── WebhookError           the webhook refused a notice
    ├── TooManyMoviesError     a model of pairs of movies does not fit into memory
    ├── SparkError             a fit on a Spark cluster did not end well
    ├── LogsError              the logs cannot be asked as they were
    ├── LineageError           there is nothing to be traced
    ├── VerifyError            a version cannot be rebuilt
    ├── InUseError             another movierec runs on this warehouse, or a port is taken
    └── HomeError              a folder cannot be a home of movierec

The errors of a bundle are the reader's: `movierec_serving.bundle.BundleError`.
"""

from __future__ import annotations

MAX_CAUSE = 500  # characters; a cause may quote a file, and is shown wherever its day is


class MovierecError(Exception):
    """The root: a refusal of the pipeline, whose message says what to do."""


class NotReadyError(MovierecError):
    """A day was asked for before what it needs; the message names the days and the asset to run."""


class ChunkError(MovierecError):
    """A delivered file cannot be read as a whole.

    Attributes:
        file: the file's name.
        line: the physical line, 1-based and with the header counted; None where no line is to
            blame.
        cause: what is wrong, in words.
    """

    def __init__(self, file: str, cause: str, line: int | None = None) -> None:
        cause = cause if len(cause) <= MAX_CAUSE else f"{cause[:MAX_CAUSE]}…"
        super().__init__(file, cause, line)
        self.file = file
        self.cause = cause
        self.line = line

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}, line {self.line}"
        return f"{where}: {self.cause}"


class DeclarationError(MovierecError):
    """A source's declaration cannot be understood; the message names the file and the field."""


class TableError(MovierecError):
    """A source's table cannot be read, or not be trusted; the message never holds the URL."""


class LandingBucketError(MovierecError):
    """Files cannot be brought from the bucket in which they arrive; the message names them."""


class MissingChunkError(MovierecError, FileNotFoundError):
    """A file should lie in the landing zone and does not; the message names the path."""


class AlteredChunkError(MovierecError):
    """An archived chunk no longer has the sha256 that it was stored under."""


class UnavailableError(MovierecError):
    """A copy of a data set cannot be had now; the message says why."""


class FetchError(MovierecError):
    """A data set cannot be delivered as it was asked for."""


class WarehouseHeldError(MovierecError):
    """Another process, such as a DuckDB shell, does not let go of the file; it is named."""


class NewerWarehouseError(MovierecError):
    """The warehouse's schema is newer than this program's."""


class ChangeError(MovierecError):
    """A change of production makes no sense; the message says why."""


class RemovedError(MovierecError):
    """A version's files were removed on purpose; the message says why."""


class RegistryLostError(MovierecError):
    """MLflow's database was lost or replaced; the message says what to do."""


class RecoveryError(MovierecError):
    """What was lost cannot be made again; the message names it and why."""


class BackupError(MovierecError):
    """A backup cannot be made, or not be trusted; nothing was left half-written."""


class MoveError(MovierecError):
    """Records cannot be moved to another database; the message names it, or what is in the way."""


class ForgetError(MovierecError):
    """A user cannot be forgotten as asked; the message never holds the user's id."""


class EndpointError(MovierecError):
    """An endpoint did not do what it was asked; the message names it and says why."""


class WebhookError(MovierecError):
    """The webhook's answer is not a success; the message is its status."""


class TooManyMoviesError(MovierecError):
    """A model of pairs of movies does not fit into memory."""


class SparkError(MovierecError):
    """A fit on a Spark cluster did not end well; the message says why."""


class LogsError(MovierecError):
    """There are no logs to ask, or the question is no SQL."""


class LineageError(MovierecError):
    """There is nothing to be traced; the message says what is missing."""


class VerifyError(MovierecError):
    """A version cannot be rebuilt; the message says what is missing."""


class InUseError(MovierecError):
    """Another movierec runs on this warehouse, or a port is taken; the message names it."""


class HomeError(MovierecError):
    """A folder cannot be a home of movierec; the message says why and what to do."""
