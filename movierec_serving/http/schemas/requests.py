"""What may be asked of lists: pages, filters, and who the list is for."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator, with_config
from typing_extensions import TypedDict

from movierec_serving.bundle import TOP_N
from movierec_serving.bundle.filters import NO_WISH, Wish
from movierec_serving.http.paging import TOKEN
from movierec_serving.http.schemas.ids import MAX_MANY, Id, MovieId, UserId

MAX_OFFSET = 1000  # of the lists that are computed for each request
# Movies of one POST, left out ones included: a tenth of a worker's deadline.
MAX_RANKED = MAX_MANY * TOP_N


class Page(BaseModel):
    """A part of a ranked list."""

    model_config = ConfigDict(extra="forbid")  # ?limit=3 would else be answered with ten

    n: int = Field(10, ge=1, le=TOP_N, description="how many movies", examples=[10])
    offset: int = Field(
        0, ge=0, le=MAX_OFFSET, description="how many of the best to leave out", examples=[0]
    )


Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=50)]
Year = Annotated[int, Field(ge=1, le=9999)]
WISHES = frozenset(Wish.__annotations__)


class Filters(BaseModel):
    """Options that choose movies; an unknown genre, column or value is an error."""

    genre: Names = Field([], description="only movies with one of these", examples=[["Comedy"]])
    genre_all: Names = Field([], description="only movies with all of these", examples=[[]])
    genre_none: Names = Field([], description="no movies with one of these", examples=[[]])
    year_from: Year | None = Field(
        None, description="no older movies, and none without a year", examples=[None]
    )
    year_to: Year | None = Field(
        None, description="no newer movies, and none without a year", examples=[None]
    )
    where: Names = Field(
        [],
        description="`column:value` of a further column of movies.csv; several values of one "
        "column are alternatives, several columns must all fit",
        examples=[[]],
    )

    @property
    def wish(self) -> Wish:
        """What movies must be; NO_WISH itself where nothing is asked, which costs nothing."""
        if not self.model_fields_set & WISHES:
            return NO_WISH
        return Wish(
            genre=tuple(self.genre),
            genre_all=tuple(self.genre_all),
            genre_none=tuple(self.genre_none),
            year_from=self.year_from,
            year_to=self.year_to,
            where=tuple(self.where),
            exclude=tuple(getattr(self, "exclude", ())),
        )


class Paged(BaseModel):
    page: str | None = Field(
        None,
        pattern=TOKEN,
        description="`next_page` of the page before, with the same other options: the list goes on "
        "in the same version, whatever is served now; `offset` does not count then",
    )


class Search(Filters, Page, Paged):
    query: str = Field(
        "",
        max_length=200,
        description="part of a title, whatever its case, accents and article; empty: all movies",
        examples=["star wars"],
    )


class Selection(Filters, Page):
    exclude: list[Id] = Field(
        [], max_length=MAX_MANY, description="ids to leave out", examples=[["181"]]
    )
    shown: bool = Field(
        True,
        description="whether a person is shown the list, which is then written down; a check or "
        "a batch that nobody sees says false",
        examples=[True],
    )


class Options(Selection):
    explain: bool = Field(
        False, description="name the rated movies that contributed most", examples=[False]
    )


class PagedOptions(Options, Paged):
    pass


class Listed(Selection, Paged):
    """Options of a list that is the same for everybody."""

    user_id: UserId | None = Field(
        None, description="leave out what this user has seen", examples=["196"]
    )


class Popular(Listed):
    window: Literal["7d", "30d", "all"] = Field(
        "all",
        description="count the likes of the data's last 7 or 30 days, or all",
        examples=["all"],
    )


class Latest(Listed):
    by: Literal["arrival", "year", "taste"] = Field(
        "arrival",
        description="by `available_from`, else the first rating, or by the year of the catalogue; "
        "taste: movies that nobody has rated, by what `user_id` likes of their genres and years",
        examples=["arrival"],
    )

    @model_validator(mode="after")
    def _taste_is_somebodys(self) -> Self:
        if self.by == "taste" and self.user_id is None:
            raise ValueError("by=taste needs a user_id")
        return self


@with_config(ConfigDict(extra="forbid", strict=True))
class Rating(TypedDict):  # a bulk has 20,000 of them, and a model takes twice as long to make
    movie_id: MovieId
    rating: Annotated[
        float, Field(ge=0.5, le=5.0, allow_inf_nan=False, description="stars", examples=[4.5])
    ]


Ratings = Annotated[list[Rating], Field(min_length=1, max_length=MAX_MANY)]


class NewUser(BaseModel):
    """Somebody whom the model does not know, by what they rated."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ratings: Ratings


ASKED: TypeAdapter[str | NewUser] = TypeAdapter(UserId | NewUser)


class RecommendRequest(Options):
    """For one user, for many, or for somebody who is not known, by their ratings."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {"user_id": "196", "n": 10},
                {
                    "users": ["196", {"ratings": [{"movie_id": "50", "rating": 5.0}]}],
                    "n": 5,
                    "genre": ["Comedy"],
                },
                {
                    "ratings": [
                        {"movie_id": "50", "rating": 5.0},
                        {"movie_id": "181", "rating": 4.5},
                    ]
                },
            ]
        },
    )

    user_id: UserId | None = None
    users: list[UserId | NewUser | Any] | None = Field(  # a wrong one gets its own error
        None, min_length=1, max_length=MAX_MANY, description="ids, or ratings of somebody unknown"
    )
    ratings: Ratings | None = None

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if sum(given is not None for given in (self.user_id, self.users, self.ratings)) != 1:
            raise ValueError("exactly one of user_id, users and ratings must be given")
        if self.users is not None and self.explain:
            raise ValueError("explain is for one user")
        if self.users is not None and len(self.users) * (self.offset + self.n) > MAX_RANKED:
            raise ValueError(f"users times (offset + n) may be at most {MAX_RANKED:,}")
        return self
