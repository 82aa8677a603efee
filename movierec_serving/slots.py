"""Where the processes of one endpoint keep their counts: files of a fixed size, allocated at start.

prometheus-client maps a file of each process and gives it its size without allocating it: on a full
disk the process dies of SIGBUS as it writes. So the main process allocates a slot for every process
that there can be, before anybody counts; a process claims a free slot, and goes on without counts
where there is none. What is counted is `metrics.py`'s.
"""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client's name for it
PREFIX = "movierec-counts-"  # not 0.2.0's: one that runs beside does not lock its folder
MEMORY = Path("/dev/shm")  # noqa: S108 - the directory below it is the user's alone
SPARE = 2  # slots for processes that start while those that they replace still end
# Bytes of the file of each kind; what is counted needs a third of it.
SIZES = {"counter": 1 << 17, "histogram": 1 << 18, "gauge_all": 1 << 14}


@contextmanager
def allocated(processes: int) -> Iterator[Path | None]:
    """A directory with slots for so many processes; None where no disk has the place.

    Memory comes first: it is not full when a disk is, and nobody sweeps it by age. What an endpoint
    left that was killed is removed.
    """
    places = [MEMORY, Path(tempfile.gettempdir())]
    _sweep(places)
    with ExitStack() as until_the_end:
        yield _first_with_room(places, processes + SPARE, until_the_end)


@contextmanager
def folder(place: Path) -> Iterator[Path]:
    """A directory of its own in `place`, until the end; `_sweep` removes it after a kill.

    Raises:
        OSError: there is no such place, or no place in it.
    """
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    try:
        lock = _locked(directory)
        try:
            directory.stat()  # nobody swept it before it was locked
            yield directory
        finally:
            os.close(lock)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def claim(directory: Path) -> int | None:
    """The number of a slot for this process alone, until it ends; None where there is none."""
    with suppress(OSError):
        for lock in sorted(directory.glob("*.lock"), key=lambda path: int(path.stem)):
            file = os.open(lock, os.O_RDWR)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(file)
                continue
            os.pwrite(file, f"{os.getpid():<20}".encode(), 0)
            with (directory / f"gauge_all_{lock.stem}.db").open("r+b") as gauges:
                gauges.write(bytes(8))  # what the last owner had open is not open any more
            return int(lock.stem)  # the file stays open, and with it the claim
    logger.warning("no slot for the counts of this process: it goes on without")
    return None


def owners(directory: Path) -> dict[int, int]:
    """The process id of each claimed slot whose process lives."""
    claimed = {}
    for lock in directory.glob("*.lock"):
        with suppress(OSError, ValueError):
            pid = int(lock.read_text())
            os.kill(pid, 0)
            claimed[int(lock.stem)] = pid
    return claimed


def _first_with_room(places: list[Path], slots: int, until_the_end: ExitStack) -> Path | None:
    for place in places:
        with suppress(OSError), ExitStack() as attempt:
            directory = attempt.enter_context(folder(place))
            _allocate(directory, slots)
            until_the_end.push(attempt.pop_all())
            return directory
    logger.warning("no place for counts in %s: /metrics will lack them", places)
    return None


def _allocate(directory: Path, slots: int) -> None:
    for slot in range(slots):
        for kind, size in SIZES.items():
            with (directory / f"{kind}_{slot}.db").open("xb") as file:
                os.posix_fallocate(file.fileno(), 0, size)
        (directory / f"{slot}.lock").write_text(" " * 20)


def _locked(directory: Path) -> int:
    """The open directory, locked: it says that the endpoint lives, to sweepers of /tmp as well."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file


def _sweep(places: Iterable[Path]) -> None:
    for place in places:
        for directory in place.glob(f"{PREFIX}*"):
            with suppress(OSError):  # it is in use, or somebody else's
                lock = _locked(directory)
                shutil.rmtree(directory, ignore_errors=True)
                os.close(lock)


class OwnSlot:
    """The slot of the process that counts; after a fork that is another process, with its own."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._pid = directory, os.getpid()
        self.number = claim(directory)

    def __call__(self) -> int:
        """Asked at each count.

        Raises:
            OSError: this process has none.
        """
        if self._pid != os.getpid():
            self._pid, self.number = os.getpid(), claim(self._directory)
        if self.number is None:
            raise OSError("no slot for the counts of this process")
        return self.number
