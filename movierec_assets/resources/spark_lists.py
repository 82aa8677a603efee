"""Everybody's lists worked out on a Spark cluster, for a publication."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from filelock import FileLock

import movierec_serving
from movierec_assets.errors import SparkError
from movierec_assets.resources.spark_driver import Launch, SparkDriver
from movierec_assets.settings import Settings
from movierec_assets.training.spark import saved
from movierec_assets.training.spark_lists import ASKED, CODE, kept, read
from movierec_serving.bundle.everybody import Listed, ListsOf, in_this_process
from movierec_serving.bundle.ranking import Lists

PROGRAM = "movierec_assets.training.spark_lists"


@dataclass(frozen=True)
class SparkLists:
    """Lists of blocks of users, as files in the driver's folder until a publication has them all.

    What a killed driver had done is there for the next one that is asked the same.
    """

    driver: SparkDriver

    def __call__(self, listed: Listed) -> Generator[Lists, None, None]:
        """Each block's lists, all worked out before the first one is given.

        Raises:
            SparkError: the driver failed or was killed, or a block's file was altered.
        """
        folder = self.driver.folder
        with FileLock(f"{folder}.lock"):
            _ask(folder, listed)
            self.driver.run(PROGRAM)
            for rows in listed.blocks:
                file = kept(folder, rows)
                if file is None:
                    raise SparkError(f"{folder}: no sound lists of user rows {rows}: deploy again")
                yield read(file)
            shutil.rmtree(folder)


def _ask(folder: Path, listed: Listed) -> None:
    """Put into the folder what the driver needs; blocks that answer another question go."""
    given = {
        "genres": listed.genres,
        "withdrawn": listed.withdrawn,
        "blended": listed.bundle.blended,
    }
    arrays = {name: array for name, array in given.items() if array is not None}
    code = _code()
    digest = hashlib.sha256(code)
    for array in arrays.values():
        digest.update(array.tobytes())
    bundle = listed.bundle
    question = {
        "bundle": str(bundle.path.resolve()),
        "identity": bundle.manifest.identity,
        "ranking": listed.ranking.model_dump(),
        "arrays": list(arrays),
        "digest": digest.hexdigest(),
    }
    text, place = json.dumps(question), folder / ASKED
    if not (place.exists() and place.read_text(encoding="utf-8") == text):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        place.write_text(text, encoding="utf-8")
    saved(folder, arrays)
    (folder / CODE).write_bytes(code)


def _code() -> bytes:
    """`movierec_serving` as a zip file; the same sources are the same bytes."""
    package, content = Path(movierec_serving.__file__).parent, io.BytesIO()
    with ZipFile(content, "w") as archive:
        for file in sorted(package.rglob("*.py")):
            name = file.relative_to(package.parent).as_posix()
            archive.writestr(ZipInfo(name), file.read_bytes())
    return content.getvalue()


def placed_lists(settings: Settings, launch: Launch) -> ListsOf:
    """Where the settings say that lists are worked out."""
    if settings.trainer != "spark":
        return in_this_process
    folder = settings.warehouse / ".tmp-lists"
    return SparkLists(SparkDriver(settings.spark_master, folder, launch))
