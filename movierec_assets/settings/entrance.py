"""What is asked of the data of a day, and when a day is unusual."""

from pydantic import BaseModel, Field


class EntranceSettings(BaseModel):
    """Limits of a delivered day."""

    max_rejected_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="a day with a larger share of rejected rows is refused",
    )
    max_chunk_mb: int = Field(
        default=256,
        ge=1,
        le=1 << 20,
        description="a delivered file with more megabytes, packed or unpacked, is refused before "
        "it is read",
    )
    max_gone_movies: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="a catalogue from which a larger share of the movies is gone is refused",
    )
    max_surprise: float = Field(
        default=0.2,
        ge=0.01,
        le=1,
        description="a day gives a warning if its share of ratings outside the catalogue, of new "
        "users, of new movies or of popular movies is this far from the usual one",
    )
    drift_days: int = Field(
        default=28,
        ge=7,
        le=366,
        description="days with ratings before a day that say what is usual on one",
    )
    drift_level: float = Field(
        default=0.0003,
        gt=0,
        lt=0.1,
        description="how improbable a day must be by chance, in each of its measures, to give a "
        "warning; larger: more warnings, and more of them false",
    )
