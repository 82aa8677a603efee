"""When a model becomes production, and when production is too old."""

from typing import Literal

from pydantic import BaseModel, Field


class PromotionSettings(BaseModel):
    """Limits of the gate."""

    gate: Literal["auto", "manual"] = Field(
        default="auto",
        description="`auto`: a challenger that passes is promoted; `manual`: a person has to "
        "approve it",
    )
    gate_margin: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="share of a reference's NDCG@10 that a challenger may lose and still pass",
    )
    gate_level: float = Field(
        default=0.95,
        gt=0.5,
        lt=1,
        description="how sure the gate must be that no more than the margin is lost, one-sided",
    )
    gate_small_users: int = Field(
        default=400,
        ge=0,
        description="with fewer users to judge by, a whole model that is not shown to be worse is "
        "promoted; 0: every model must be shown not to be worse",
    )
    gate_small_overlap: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="on a small site, share of the served top 10 that must be the evaluated twin's",
    )
    gate_kept_ratings: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="on a small site, share of production's ratings that a model must still hold; "
        "with fewer a person has to approve it",
    )
    gate_residual: float = Field(
        default=0.002,
        gt=0,
        description="on a small site, how far the movies' vectors may be from solving the "
        "equations of the model's own ratings",
    )
    production_days_behind: int = Field(
        default=2,
        ge=0,
        description="accepted days that production may lack before somebody is told",
    )
