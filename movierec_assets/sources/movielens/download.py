"""Getting a MovieLens data set: published copies, the cache, archives and folders."""

import hashlib
import lzma
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import pooch  # type: ignore[import-untyped]
import requests
from rich.console import Console

from movierec_assets.errors import ChunkError, UnavailableError
from movierec_assets.sources.days import digest
from movierec_assets.sources.movielens import reader as movielens
from movierec_assets.sources.movielens.reader import Dataset

_LARGEST_MEMBER = 8 << 30  # bytes; the ratings of ml-32m are 0.9 GB
_LARGEST_RATIO = 200  # ratings in text compress 3 to 10 times, a zip bomb a thousand times
# RuntimeError: an encrypted archive. OSError: damaged bzip2, or an offset that is not in the file.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
)
_TIME_OUT = (5, 10)  # seconds to connect, and to wait for more
_PIP_TIME_OUT = 120  # seconds


@dataclass(frozen=True)
class Copy:
    """A place to get a data set from."""

    file: str  # the name of its zip archive in the cache
    place: str  # in words
    download: Callable[[Path], None]  # puts the archive at a path, or raises UnavailableError
    sha256: Mapping[str, str]  # of the members that are read


@dataclass(frozen=True)
class Published:
    """A data set known by name. `ratings` is what `digest` says of it, from whatever
    copy.
    """

    name: str
    ratings: str
    copies: tuple[Copy, ...]


def download_url(url: str, to: Path) -> None:
    """Download a file; a failure is tried again twice."""
    site = pooch.create(
        to.parent, base_url="", urls={to.name: url}, registry={to.name: None}, retry_if_failed=2
    )
    pooch.get_logger().setLevel("ERROR")  # its own waiting is no news
    try:
        site.fetch(to.name, downloader=pooch.HTTPDownloader(timeout=_TIME_OUT))
    except requests.ConnectionError as error:  # urllib3's own text fills half a screen
        host = urlsplit(url).hostname
        raise UnavailableError(f"{host} cannot be reached ({_root_of(error)})") from error
    except (requests.RequestException, OSError) as error:
        raise UnavailableError(str(error) or type(error).__name__) from error


def _root_of(error: BaseException) -> str:
    """What the system said, below the errors that libraries wrapped around it."""
    while error.__context__ is not None:
        error = error.__context__
    return (isinstance(error, OSError) and error.strerror) or str(error)


def download_wheel(requirement: str, to: Path) -> None:
    """Download a wheel with pip, configured as the user has it; nothing of it is installed or
    run.
    """
    with tempfile.TemporaryDirectory(dir=to.parent) as folder:
        quiet = ("--quiet", "--quiet", "--disable-pip-version-check")  # errors alone
        alone = ("--no-deps", "--only-binary=:all:", "--dest", folder)
        command = [sys.executable, "-m", "pip", "download", *quiet, *alone, requirement]
        try:
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, timeout=_PIP_TIME_OUT
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(
                f"pip download {requirement} took more than {_PIP_TIME_OUT} s"
            ) from error
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            said = done.stderr.strip().rpartition("\n")[2].removeprefix("ERROR: ")
            raise UnavailableError(f"pip download {requirement} failed: {said}")
        wheels[0].replace(to)


_WHEEL = "recbole/dataset_example/ml-100k/ml-100k"
_COPIES = (
    Copy(
        "ml-100k.zip",
        "GroupLens",
        partial(download_url, "https://files.grouplens.org/datasets/movielens/ml-100k.zip"),
        {
            "ml-100k/u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
            "ml-100k/u.item": "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
        },
    ),
    Copy(
        "ml-100k-recbole-1.2.1.zip",
        "the wheel of RecBole 1.2.1",
        partial(download_wheel, "recbole==1.2.1"),
        {
            f"{_WHEEL}.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
            f"{_WHEEL}.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
        },
    ),
)
KNOWN = {
    "ml-100k": Published(
        "ml-100k", "0f9ba901a197d4caa4ae824888c4e31fdfd5c4eff5549c9e42647f2027ac1bce", _COPIES
    )
}


def obtain(published: Published, cache: Path, console: Console) -> Dataset:
    """Read a published data set: from the cache, else from the first copy that can be had and is
    right.

    Raises:
        UnavailableError: no copy could be had; says why of each.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for copy in published.copies:
        cached = cache / copy.file
        if cached.exists():
            try:
                return _checked(cached, copy, published)
            except ChunkError as error:
                console.print(f"{error}; fetching it again", markup=False, highlight=False)
                cached.unlink()
    reasons: list[str] = []
    for copy in published.copies:
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            fresh = Path(folder) / copy.file
            try:
                with console.status(f"{published.name} from {copy.place}"):
                    copy.download(fresh)
                    dataset = _checked(fresh, copy, published)
            except (UnavailableError, ChunkError) as error:
                reasons.append(f"{copy.place}: {error}")
                console.print(
                    f"{published.name} not from {reasons[-1]}", markup=False, highlight=False
                )
                continue
            fresh.replace(cache / copy.file)
            return dataset
    raise UnavailableError(
        f"{published.name} could not be fetched. " + "; ".join(reasons) + ". Without internet, "
        f"bring {published.copies[0].file} from elsewhere and put it into {cache}"
    )


def read_path(path: Path) -> Dataset:
    """Read a MovieLens archive (.zip) or folder.

    Raises:
        ChunkError: as `movielens.read`, or a broken archive.
    """
    if path.is_dir():
        inside = (file for file in sorted(path.rglob("*")) if file.is_file())
        files = {file.relative_to(path).as_posix(): partial(_file, file) for file in inside}
        return movielens.read(files, path.name)
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name: partial(_member, archive, name) for name in archive.namelist()}
            return movielens.read(members, path.name)
    except FileNotFoundError as error:
        raise ChunkError(path.name, f"no such file or folder: {path}") from error
    except _BROKEN as error:
        raise ChunkError(
            path.name,
            f"not a readable zip archive: {error}. A file of ratings alone needs --format",
        ) from error


def _file(path: Path) -> IO[bytes]:
    return path.open("rb")


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """Open a member, never extracted: its path does no harm, and it yields no more than it
    declares.
    """
    size, packed = (info := archive.getinfo(name)).file_size, info.compress_size
    if size > _LARGEST_MEMBER or size > _LARGEST_RATIO * max(packed, 1 << 10):
        raise ChunkError(name, f"{size:,} bytes out of {packed:,}: not a plausible member")
    return archive.open(info)


def _checked(path: Path, copy: Copy, published: Published) -> Dataset:
    """Read a copy, if its files and its ratings are what was published."""
    try:
        with zipfile.ZipFile(path) as archive:
            for name, expected in copy.sha256.items():
                with _member(archive, name) as file:
                    actual = hashlib.sha256(file.read()).hexdigest()
                if actual != expected:
                    raise ChunkError(
                        copy.file, f"the SHA-256 of {name} is {actual}, expected {expected}"
                    )
            members = {name: partial(_member, archive, name) for name in copy.sha256}
            dataset = movielens.read(members, copy.file)
    except KeyError as error:
        raise ChunkError(copy.file, str(error.args[0])) from error
    except _BROKEN as error:
        raise ChunkError(copy.file, f"not a readable zip archive: {error}") from error
    if (actual := digest(dataset.ratings)) != published.ratings:
        count = f"{len(dataset.ratings):,} ratings"
        raise ChunkError(
            copy.file, f"other ratings than {published.name} has: {count}, digest {actual}"
        )
    return dataset
