"""MovieLens as each of its formats has it: a few ratings and movies, in archives and folders."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

NOON = 1_582_977_600  # seconds, 2020-02-29T12:00:00Z
DAY = 86_400
FLAGS = "0|0|0|0|0|1|0|0|1|0|0|0|0|0|0|0|0|0|0"  # Comedy, Drama
NO_FLAGS = "1" + "|0" * 18  # unknown

# The same five ratings of the same three movies in each format, out of order, with a day left out
# between.
RATINGS = [
    (2, 10, 4, NOON + 2 * DAY),
    (1, 30, 5, NOON),
    (1, 10, 3, NOON),
    (1, 20, 2, NOON - 5),
    (2, 20, 1, NOON),
]
CLASSIC = "\n".join(f"{user}\t{movie}\t{stars}\t{at}" for user, movie, stars, at in RATINGS) + "\n"
FORMATS: dict[str, dict[str, bytes]] = {
    "tab": {
        "ml/u.data": CLASSIC.encode(),
        "ml/u.item": (
            f"10|Café, Le (1995)|01-Jan-1995||http://x|{FLAGS}\n"
            f"20|Good, Bad (1966)|01-Jan-1966||http://x|{FLAGS}\n"
            f"30|unknown||||{NO_FLAGS}\n"
        ).encode("latin-1"),
    },
    "colons": {
        "ml/ratings.dat": CLASSIC.replace("\t", "::").encode(),
        "ml/movies.dat": (
            "10::Café, Le (1995)::Comedy|Drama\n20::Good, Bad (1966)::Comedy|Drama\n"
            "30::unknown::(no genres listed)\n"
        ).encode("latin-1"),
    },
    "csv": {
        "ml/ratings.csv": b"userId,movieId,rating,timestamp\n"
        + b"".join(
            f"{user},{movie},{stars}.0,{at}\n".encode() for user, movie, stars, at in RATINGS
        ),
        "ml/movies.csv": (
            'movieId,title,genres\n10,"Café, Le (1995)",Comedy|Drama\n20,"Good, Bad '
            '(1966)",Comedy|Drama\n'
            "30,unknown,(no genres listed)\n"
        ).encode(),
        "ml/README.txt": b"",
    },
    "recbole": {
        "a/b/ml.inter": b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        + CLASSIC.encode(),
        "a/b/ml.item": (
            "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
            "10\tCafé, Le\t1995\tComedy Drama\n20\tGood, Bad\t1966\tComedy Drama\n"
            "30\tunkonwn\tunkonwn\tunknown\n"
        ).encode(),
    },
}
HEADER = b"user_id,movie_id,rating,timestamp\n"


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_folder(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def movie_csv(*rows: str) -> dict[str, bytes]:
    return {
        "ratings.csv": f"userId,movieId,rating,timestamp\n1,1,4,{NOON}\n".encode(),
        "movies.csv": ("movieId,title,genres\n" + "".join(f"{row}\n" for row in rows)).encode(),
    }
