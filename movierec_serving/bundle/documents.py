"""The JSON documents beside a bundle's arrays: strict, sealed by a checksum of their own content.

What a document says is its module's business: `manifest` and `publication`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from movierec_serving.errors import BundleError

SHOWN = 3  # errors of one document that a message names


class Strict(BaseModel):
    """Fields of exactly these types; a missing, an unknown or a mistyped one is refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Document(Strict):
    """One sealed file. `FORMATS` are the format versions that this program reads, the newest last:
    it writes that one.
    """

    FORMATS: ClassVar[tuple[int, ...]]

    format_version: int

    def to_json(self) -> str:
        """The sealed text.

        Raises:
            BundleError: it could not be read back.
        """
        return seal(self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> Self:
        """The document that `to_json` wrote.

        Args:
            where: names the file in messages.

        Raises:
            BundleError: another format version, altered, or the field that is wrong.
        """
        document = cls.upgraded(unseal(text, where, cls.FORMATS))
        try:
            return cls.model_validate_json(_canonical(document))
        except ValidationError as error:
            raise BundleError(f"{where}: {_causes(error)}") from error

    @classmethod
    def upgraded(cls, document: dict[str, Any]) -> dict[str, Any]:
        """The document as the newest format has it."""
        return document


def seal(document: Mapping[str, Any]) -> str:
    """JSON text with a checksum of its own content: no hash elsewhere covers this file."""
    sealed = {**document, "checksum": _checksum(_canonical(document))}
    return json.dumps(sealed, indent=1, sort_keys=True) + "\n"


def unseal(text: str | bytes, where: str, formats: Sequence[int]) -> dict[str, Any]:
    """The fields that `seal` wrote.

    Raises:
        BundleError: not JSON, altered, or of a format version that is none of `formats`.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where}: not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BundleError(f"{where}: must be of type dict, is {type(document).__name__}")
    version = document.get("format_version")
    if type(version) is not int or version not in formats:
        known = " and ".join(map(str, formats))
        raise BundleError(f"{where}: format version {version!r}, this program reads {known}")
    stated = document.pop("checksum", None)
    if stated != _checksum(_canonical(document)):
        raise BundleError(f"{where}: altered, its checksum does not fit")
    return document


def _canonical(document: Mapping[str, Any]) -> str:
    try:
        return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BundleError(f"not JSON: {error}") from error


def _checksum(canonical: str) -> str:
    return hashlib.sha256(canonical.encode()).hexdigest()


def _causes(error: ValidationError) -> str:
    """The first errors as `field: cause`, without the input, which may be long."""
    causes = error.errors(include_url=False, include_input=False)[:SHOWN]
    return "; ".join(f"{'.'.join(map(str, cause['loc']))}: {cause['msg']}" for cause in causes)
