"""How each generation of MovieLens is written, its copies included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# The order of the flags at the end of a line of u.item, as u.genre gives it.
FLAGS = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime"),
    *("Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance"),
    *("Sci-Fi", "Thriller", "War", "Western"),
)
_RATINGS = {
    "user_id": "userid",
    "movie_id": "movieid",
    "rating": "rating",
    "timestamp": "timestamp",
}
_MOVIES = {"movie_id": "movieid", "title": "title", "genres": "genres"}


@dataclass(frozen=True)
class Layout:
    """One generation: two files side by side. A name that begins with a dot is a suffix.

    Attributes:
        columns, movie_columns: where there is a header, the letters of its columns by our name.
        movie_header: the columns of movies where there is none.
        flags: whether genres are flags, one column each.
    """

    ratings: str
    movies: str
    separator: str = ","
    movie_separator: str = ","
    quoting: bool = True
    has_header: bool = True
    columns: Mapping[str, str] = field(default_factory=lambda: _RATINGS)
    movie_columns: Mapping[str, str] = field(default_factory=lambda: _MOVIES)
    movie_header: tuple[str, ...] | None = None
    genre_separator: str = "|"
    flags: bool = False
    misspelt: Mapping[str, str] = field(default_factory=dict)


LAYOUTS = (
    Layout("ratings.csv", "movies.csv"),
    Layout("rating.csv", "movie.csv"),  # Kaggle's, with times as text
    Layout(
        "ratings.dat",
        "movies.dat",
        separator="::",
        movie_separator="::",
        quoting=False,
        has_header=False,
        movie_header=("movie_id", "title", "genres"),
    ),
    Layout(
        "u.data",
        "u.item",
        separator="\t",
        movie_separator="|",
        quoting=False,
        has_header=False,
        movie_header=("movie_id", "title", "released", "video", "genres", *FLAGS),
        flags=True,
    ),
    Layout(  # RecBole's copy misspells ml-100k's one unknown movie
        ".inter",
        ".item",
        separator="\t",
        movie_separator="\t",
        quoting=False,
        columns={**_RATINGS, "movie_id": "itemid"},
        movie_columns={
            "movie_id": "itemid",
            "title": "movietitle",
            "year": "releaseyear",
            "genres": "class",
        },
        genre_separator=" ",
        misspelt={"unkonwn": "unknown"},
    ),
)
