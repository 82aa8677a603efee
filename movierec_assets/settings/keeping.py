"""For how long what is written is kept, and what counts as an outcome until then."""

from pydantic import BaseModel, Field

A_CENTURY = 36_525  # days; a calendar ends some time after


class KeepingSettings(BaseModel):
    """Days and numbers that are kept."""

    keep_versions: int = Field(
        default=30,
        ge=2,
        description="how many of the newest versions a prune leaves whatever they are; production, "
        "what is pinned or served, one version a month, and what these were started from stay too",
    )
    outcome_days: int = Field(
        default=7,
        ge=1,
        le=90,
        description="days after a list was shown in which what the user does counts as its outcome",
    )
    keep_shown_days: int = Field(
        default=180,
        ge=1,
        le=A_CENTURY,
        description="days for which it is kept what each user was shown; the rates stay",
    )
    keep_events_days: int = Field(
        default=400,
        ge=2,
        le=A_CENTURY,
        description="days for which events are kept after they were delivered as ratings",
    )
    keep_seen_days: int = Field(
        default=30,
        ge=1,
        le=A_CENTURY,
        description="days whose accepted ratings the endpoint is told of at once, whatever version "
        "it serves",
    )
    prune: bool = Field(
        default=False,
        description="whether the weekly job removes the versions that nothing needs, or only says "
        "which it would remove",
    )
