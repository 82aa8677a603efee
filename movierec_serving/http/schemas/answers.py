"""Lists, histories and movies, as they are answered."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from movierec_serving.bundle import FAMILIES

SOURCES = [*FAMILIES, "fold_in", "popular", "trending", "latest", "content"]
Source = Annotated[str, Field(json_schema_extra={"enum": SOURCES})]


class Card(BaseModel):
    movie_id: str = Field(examples=["50"])
    title: str | None = Field(
        description="null where the catalogue has none", examples=["Star Wars (1977)"]
    )
    genres: list[str] = Field(examples=[["Action", "Adventure", "Sci-Fi"]])


class Reason(Card):
    share: float = Field(
        description="of all that rated movies add to the score or take away", examples=[0.2]
    )


class ListedMovie(Card):
    score: float = Field(
        description="a family, `fold_in`, `content`: product of the vectors, times "
        "(1 + ratings)^-b where a correction is set; of similar movies (1 + cosine) / 2, damped; "
        "`popular`, `trending`: likes times their damped share; `latest`: the year, or minus the "
        "days before the data's last day",
        examples=[0.973],
    )
    source: Source
    because: list[Reason] | None = Field(
        None, description="with explain, except for popular movies"
    )
    because_of_genres: list[str] | None = Field(
        None,
        description="genres, the most telling first: of a movie that nobody has rated (`content`); "
        "with explain, also of one of few ratings that is listed more by its content than by them",
        examples=[["Horror", "Thriller"]],
    )


class Stamped(BaseModel):
    model_version: int = Field(description="the registry's version", examples=[14])
    data_until: str = Field(description="the last day the model has seen", examples=["1998-04-22"])


FallbackReason = Literal[
    "unknown_user",
    "no_known_movie",
    "no_liked_movie",
    "no_usable_rating",
    "no_times",
    "nothing_left",
]


class UserList(BaseModel):
    recommendation_id: str = Field(
        description="this list's alone", examples=["14-9f2c0a7be1d24b3c8a55e0f1"]
    )
    user_id: str | None = Field(
        None, description="absent where no user was asked for", examples=["196"]
    )
    source: Source
    fallback_reason: FallbackReason | None = Field(
        None, description="why these are popular movies, or none"
    )
    arm: str | None = Field(
        None,
        description="the user's arm of the experiment under way; interleaved: the list has movies "
        "of both arms",
        examples=["production"],
    )
    arm_failed: bool | None = Field(
        None, description="the arm's version is broken, so production answered", examples=[True]
    )
    items: list[ListedMovie] = Field(description="best first, without what the user has rated")


class Continued(BaseModel):
    next_page: str | None = Field(
        None,
        description="`page` of the request that goes on; absent where the list has ended",
        examples=["14-10-9f2c0a7b"],
    )


class Recommendations(Stamped, UserList, Continued):
    pass


class ItemError(BaseModel):
    index: int = Field(description="of the user in the request", examples=[1])
    error: str = Field(examples=["a user is an id of 1 to 64 characters without NUL, or ratings"])


class BatchRecommendations(Stamped):
    """The version is production's; an arm's own is the first part of a list's id."""

    results: list[UserList | ItemError] = Field(
        description="one a user, in the order of the request"
    )


class RatedMovie(Card):
    rating: float = Field(description="stars", examples=[4.5])


class History(Stamped):
    user_id: str = Field(examples=["196"])
    total: int = Field(description="movies rated", examples=[39])
    items: list[RatedMovie] = Field(description="the best rated first")


class MovieInfo(Card):
    year: int | None = Field(description="null where the catalogue has none", examples=[1977])
    ratings: int = Field(description="how many the model has seen", examples=[583])
    listed: bool = Field(
        description="in the catalogue, and available today (UTC); else in no list", examples=[True]
    )
    blocked: bool = Field(description="taken off all lists", examples=[False])


class StampedMovie(Stamped, MovieInfo):
    pass


class Movies(Stamped, Continued):
    items: list[MovieInfo] = Field(
        description="the most popular first, at the end what nobody has rated"
    )
