"""What requests may ask and answers hold, as OpenAPI shows it."""

from typing import Annotated, Any, Literal, NotRequired, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator, with_config
from typing_extensions import TypedDict

from movierec_serving.bundle import FAMILIES, MAX_ID_LENGTH, TOP_N
from movierec_serving.bundle.experiment import BUCKETS
from movierec_serving.bundle.filters import NO_WISH, Wish
from movierec_serving.http.paging import TOKEN

MAX_VERSION = 2**63 - 1
MAX_MANY = 1000  # users of one POST; movies excluded, or rated, by one user
MAX_OFFSET = 1000  # of the lists that are computed for each request
MAX_RANKED = (
    MAX_MANY * TOP_N
)  # movies of one POST, left out ones included: a tenth of a worker's deadline

SOURCES = [*FAMILIES, "fold_in", "popular", "trending", "latest"]
Source = Annotated[str, Field(json_schema_extra={"enum": SOURCES})]
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH, pattern=r"^[^\x00]*$")]
UserId = Annotated[Id, Field(description="the user's external id", examples=["196"])]
MovieId = Annotated[Id, Field(description="the movie's external id", examples=["50"])]


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
    """Which movies of the catalogue; an unknown genre, column or value is an error."""

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
    """Of a list that is the same for everybody."""

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
    by: Literal["arrival", "year"] = Field(
        "arrival",
        description="by `available_from`, else the first rating, or by the year of the catalogue",
        examples=["arrival"],
    )


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


EventId = Annotated[
    str, Field(min_length=1, max_length=128, pattern=r"^[^\x00]*$", examples=["7c1f0e"])
]


@with_config(ConfigDict(extra="forbid", strict=True))
class EventIn(TypedDict):
    """One thing that a user did."""

    event_id: NotRequired[Annotated[EventId, Field(description="derived where there is none")]]
    user_id: UserId
    movie_id: MovieId
    type: Annotated[
        str,
        Field(
            max_length=64,
            description="`rating`, `like`, `dislike`, `play`, `click`, `dismiss`, `remove`, or a "
            "declared one",
            examples=["rating"],
        ),
    ]
    value: NotRequired[
        Annotated[
            float | None,
            Field(
                allow_inf_nan=False,
                description="of a rating, stars; of a play, the share that was watched; else none",
                examples=[4.5],
            ),
        ]
    ]
    timestamp: NotRequired[
        Annotated[
            int,
            Field(
                ge=0,
                description="seconds since 1970; now where there is none",
                examples=[893286638],
            ),
        ]
    ]
    recommendation_id: NotRequired[
        Annotated[
            str | None, Field(max_length=128, description="of the list that the user acted on")
        ]
    ]


EVENT: TypeAdapter[EventIn] = TypeAdapter(EventIn)


class EventsRequest(BaseModel):
    """Things that users did, in any order."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"events": [{"user_id": "196", "movie_id": "50", "type": "rating", "value": 4.5}]}
            ]
        },
    )

    events: list[Any] = Field(  # a wrong one gets its own error
        min_length=1, max_length=MAX_MANY, description="each as one event alone"
    )


class EventKept(BaseModel):
    index: int = Field(description="of the event in the request", examples=[0])
    event_id: str = Field(examples=["7c1f0e"])
    status: Literal["kept", "known"] = Field(description="known: it was kept before")


class EventRefused(BaseModel):
    index: int = Field(description="of the event in the request", examples=[1])
    error: str = Field(examples=["value: expected stars, 0.5 to 5 in halves, for the type rating"])


class EventResults(BaseModel):
    results: list[EventKept | EventRefused] = Field(description="in the order of the request")


class UserEvent(BaseModel):
    event_id: str = Field(examples=["7c1f0e"])
    user_id: str = Field(examples=["196"])
    movie_id: str = Field(examples=["50"])
    type: str = Field(examples=["rating"])
    value: float | None = Field(description="stars or a share, where the type has one")
    timestamp: int = Field(description="seconds since 1970", examples=[893286638])
    recommendation_id: str | None = Field(description="of the list that the user acted on")
    received_at: int = Field(description="seconds since 1970", examples=[893286640])
    delivered: str | None = Field(
        description="the day whose chunk has it; null while none has", examples=["1998-04-22"]
    )


class UserEvents(BaseModel):
    user_id: str = Field(examples=["196"])
    total: int = Field(description="events of the user", examples=[3])
    items: list[UserEvent] = Field(description="the newest first")


class EventRemoved(BaseModel):
    event_id: str = Field(examples=["7c1f0e"])
    removed: bool = Field(examples=[True])


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
        description="`als`, `ease`, `fold_in`: product of the vectors, times (1 + ratings)^-b "
        "where a correction is set; of similar movies (1 + cosine) / 2, damped; `popular`, "
        "`trending`: likes times their damped share; `latest`: the year, or minus the days before "
        "the data's last day",
        examples=[0.973],
    )
    source: Source
    because: list[Reason] | None = Field(
        None, description="with explain, except for popular movies"
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
        None, description="the user's arm of the experiment under way", examples=["production"]
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


class OpenModel(BaseModel):
    process: str = Field(description="api-N or worker", examples=["api-0"])
    pid: int = Field(examples=[4711])
    version: int = Field(description="0 for none; follows as a request arrives", examples=[14])


class LastReload(BaseModel):
    at: str = Field(description="UTC", examples=["1998-04-23T00:31:05+00:00"])
    version: int = Field(examples=[14])
    result: Literal["changed", "unchanged", "missing", "refused", "busy"]
    seconds: float = Field(examples=[0.21])
    cause: str | None = Field(description="why not, if it was not", examples=[None])


class ArmInfo(BaseModel):
    """One policy of an experiment."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,39}$",
        description="production, popular, or of a version of its own",
        examples=["ease"],
    )
    version: int | None = Field(
        None, ge=1, le=MAX_VERSION, description="null for production and popular", examples=[15]
    )


class NamedArm(ArmInfo):
    share: float = Field(description="of the users", examples=[0.5])


class PieceInfo(BaseModel):
    """Buckets of users, of ten thousand, that are one arm's to the end."""

    arm: str = Field(examples=["ease"])
    begin: int = Field(ge=0, lt=BUCKETS, examples=[5000])
    end: int = Field(gt=0, le=BUCKETS, description="the first that is not", examples=[10_000])


class ExperimentRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", examples=["ease_or_als"])
    salt: str = Field(
        min_length=8, max_length=100, description="of the hash of users", examples=["9f2c0a7b"]
    )
    arms: list[ArmInfo] = Field(min_length=2, max_length=20, description="the control first")
    pieces: list[PieceInfo] = Field(
        min_length=2, max_length=1000, description="only ever added to, so nobody changes arm"
    )


class RunningExperiment(BaseModel):
    name: str = Field(examples=["ease_or_als"])
    arms: list[NamedArm] = Field(description="the control first")


class ExperimentAnswer(BaseModel):
    experiment: RunningExperiment | None = Field(description="null where there is none")


class ModelInfo(BaseModel):
    version: int = Field(examples=[14])
    data_until: str = Field(examples=["1998-04-22"])
    identity: str = Field(description="digest of all that decided the model", examples=["9f2c…"])
    format_version: int = Field(examples=[1])
    pid: int = Field(description="the process that answered", examples=[4711])
    processes: list[OpenModel] = Field(description="what each process has open")
    last_reload: LastReload | None = Field(description="null before the first")
    experiment: RunningExperiment | None = Field(description="null where there is none")


class Alive(BaseModel):
    status: Literal["ok"] = Field(examples=["ok"])


class Health(Alive):
    version: int = Field(examples=[14])


class ReloadRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"version": 14}]})

    version: int = Field(
        strict=True, ge=1, le=MAX_VERSION, description="a published one", examples=[14]
    )


class ReloadAnswer(BaseModel):
    version: int = Field(
        description="the version served from now on, by every process", examples=[14]
    )
    previous: int | None = Field(description="the version before, if any", examples=[13])
    changed: bool = Field(examples=[True])


class Blocked(BaseModel):
    movie_id: str = Field(examples=["50"])
    blocked: bool = Field(examples=[True])
    changed: bool = Field(examples=[True])


class Problem(BaseModel):
    detail: str = Field(examples=["no model version has been deployed yet"])


class FieldProblem(BaseModel):
    loc: list[str | int] = Field(description="place, then field", examples=[["query", "n"]])
    msg: str = Field(examples=["Input should be less than or equal to 100"])
    type: str = Field(examples=["less_than_equal"])


class InvalidRequest(BaseModel):
    detail: list[FieldProblem]
