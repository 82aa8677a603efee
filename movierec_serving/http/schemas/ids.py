"""Ids and bounds that several requests and answers share."""

from typing import Annotated

from pydantic import Field

from movierec_serving.bundle import MAX_ID_LENGTH

MAX_VERSION = 2**63 - 1
MAX_MANY = 1000  # users of one POST; movies excluded, or rated, by one user
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH, pattern=r"^[^\x00]*$")]
UserId = Annotated[Id, Field(description="the user's external id", examples=["196"])]
MovieId = Annotated[Id, Field(description="the movie's external id", examples=["50"])]
