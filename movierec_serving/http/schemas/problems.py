"""Errors, the same shapes on every route."""

from pydantic import BaseModel, Field


class Problem(BaseModel):
    detail: str = Field(examples=["no model version has been deployed yet"])


class FieldProblem(BaseModel):
    loc: list[str | int] = Field(description="place, then field", examples=[["query", "n"]])
    msg: str = Field(examples=["Input should be less than or equal to 100"])
    type: str = Field(examples=["less_than_equal"])


class InvalidRequest(BaseModel):
    detail: list[FieldProblem]
