"""An experiment as it is sent to an endpoint, and as the endpoint says it."""

from pydantic import BaseModel, ConfigDict, Field

from movierec_serving.bundle.experiment import BUCKETS
from movierec_serving.bundle.ranking import Ranking
from movierec_serving.http.schemas.ids import MAX_VERSION


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
    ranking: Ranking | None = Field(
        None, description="how its lists are made; null: as its version was published"
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
    interleave: bool = Field(
        False,
        description="users of either arm get one list, drafted from both; two arms only",
        examples=[False],
    )


class RunningExperiment(BaseModel):
    name: str = Field(examples=["ease_or_als"])
    arms: list[NamedArm] = Field(description="the control first")
    interleave: bool = Field(description="lists are drafted from both arms", examples=[False])


class ExperimentAnswer(BaseModel):
    experiment: RunningExperiment | None = Field(description="null where there is none")
