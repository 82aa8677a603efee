"""The endpoints, over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import tenacity
from pydantic import SecretStr


class EndpointError(RuntimeError):
    """An endpoint did not do what it was asked; the message names it and says why."""


@dataclass(frozen=True)
class Reload:
    """What an endpoint acknowledged."""

    url: str
    version: int
    previous: int | None
    changed: bool
    seconds: float


@dataclass(frozen=True)
class ServingClient:
    """Asks endpoints what they serve, and to serve another version.

    No ConfigurableResource: Dagster's UI shows the configuration of those, the token included.
    """

    endpoints: tuple[str, ...]
    token: SecretStr | None = None
    timeout_s: float = 60.0  # a reload re-hashes the whole bundle

    def served(self, url: str) -> int | None:
        """The version an endpoint serves, None while it has none.

        Raises:
            EndpointError: it does not answer, or not as an endpoint does.
        """
        try:
            answer = httpx.get(f"{url}/model", timeout=2.0)
        except httpx.HTTPError as error:
            raise EndpointError(f"{url} does not answer: {error}") from error
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return None
        return int(_body(url, answer)["version"])

    def reload(self, url: str, version: int) -> Reload:
        """Make an endpoint serve `version`; returns when every request sent from now on is answered by it.

        Raises:
            EndpointError: no answer, a wrong token, or a bundle that it refused, with its reason.
        """
        headers = {"Authorization": f"Bearer {self.token.get_secret_value()}"} if self.token else {}
        try:
            answer = self._post(f"{url}/reload", {"version": version}, headers)
        except httpx.HTTPError as error:
            raise EndpointError(f"{url} does not answer: {error}") from error
        body = _body(url, answer)
        return Reload(
            url,
            body["version"],
            body.get("previous"),
            bool(body.get("changed")),
            answer.elapsed.total_seconds(),
        )

    @tenacity.retry(
        retry=tenacity.retry_if_exception_type(httpx.TransportError),
        stop=tenacity.stop_after_attempt(3),
        wait=tenacity.wait_exponential(multiplier=0.2),
        reraise=True,
    )
    def _post(self, url: str, body: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
        return httpx.post(url, json=body, headers=headers, timeout=self.timeout_s)


def _body(url: str, answer: httpx.Response) -> dict[str, Any]:
    """The answer's JSON, with a version in it."""
    if answer.is_error:
        raise EndpointError(f"{url} answered {answer.status_code}: {answer.text[:500]}")
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("version"), int):
        raise EndpointError(f"{url} does not answer as an endpoint does: {answer.text[:100]!r}")
    return body
