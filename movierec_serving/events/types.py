"""The types of events: what each is worth in training, and whether it takes a movie off lists.

More are declared in `warehouse/sources/events.types.toml`; a declaration of a type that is here
takes its place.
"""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from movierec_serving.errors import EventTypesError

FILE = "events.types.toml"
Step = tuple[float, float]  # from this share on, worth so many stars


class EventType(BaseModel):
    """What an event of a type says.

    Attributes:
        value: what the event's value is; `none` for a type that has no value.
        stars: the stars that it stands for; None for none, or where the value says it.
        steps: for a share, the stars from each share on; below the first it says nothing.
        hides: whether lists leave the movie out from then on.
        explicit: whether it is an opinion: one counts more than what was only watched or passed.
        takes_back: whether it takes back all that the user said about the movie before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    value: Literal["none", "stars", "share"] = "none"
    stars: float | None = Field(default=None, ge=0.5, le=5, multiple_of=0.5)
    steps: tuple[Step, ...] = ()
    hides: bool = False
    explicit: bool = False
    takes_back: bool = False

    @model_validator(mode="after")
    def _is_one_kind(self) -> "EventType":
        if self.steps and self.value != "share":
            raise ValueError("steps are for a share")
        if self.stars is not None and (self.value == "stars" or self.steps):
            raise ValueError("stars are said by the value")
        if list(self.steps) != sorted(self.steps):
            raise ValueError("steps do not rise")
        return self

    def worth(self, value: float | None) -> float | None:
        """The stars that it counts in training; None if it counts nothing."""
        if self.value == "stars":
            return value
        reached = [stars for share, stars in self.steps if value is not None and value >= share]
        return reached[-1] if reached else self.stars

    def takes_off(self, value: float | None) -> bool:
        """Whether it takes the movie off lists: of a share, from the first step on."""
        return self.hides and (not self.steps or self.worth(value) is not None)

    @property
    def silent(self) -> bool:
        """Whether it says nothing about lists, whatever its value: it is kept and no more."""
        counts = self.value == "stars" or self.stars is not None or bool(self.steps)
        return not (counts or self.hides or self.takes_back)

    def wrong(self, value: float | None) -> str | None:
        """What is wrong with a value; None if nothing is."""
        if self.value == "none":
            return None if value is None else "a value is not expected"
        if self.value == "share":
            return None if value is not None and 0 <= value <= 1 else "expected a share, 0 to 1"
        good = value is not None and 0.5 <= value <= 5 and value * 2 == int(value * 2)
        return None if good else "expected stars, 0.5 to 5 in halves"


TYPES: Mapping[str, EventType] = {
    "rating": EventType(value="stars", hides=True, explicit=True),
    "like": EventType(stars=5.0, hides=True, explicit=True),
    "dislike": EventType(stars=1.0, hides=True, explicit=True),
    "play": EventType(value="share", steps=((0.5, 3.5), (0.9, 4.0)), hides=True),
    "click": EventType(),
    "dismiss": EventType(stars=2.0, hides=True),
    "remove": EventType(takes_back=True),
}
_DECLARED = TypeAdapter(dict[str, EventType])


def read_types(folder: Path) -> Mapping[str, EventType]:
    """The types with those that are declared in the folder of the sources' declarations.

    Raises:
        EventTypesError: the declaration cannot be understood; the message names the field.
    """
    file = folder / FILE
    try:
        declared = tomllib.loads(file.read_text(encoding="utf-8"))
        # As JSON, so that lists may be tuples in strict mode.
        more = _DECLARED.validate_json(json.dumps(declared, default=str))
    except FileNotFoundError:
        return TYPES
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise EventTypesError(f"{FILE}: {where}: {first['msg']}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EventTypesError(f"{FILE}: {error}") from error
    return {**TYPES, **more}
