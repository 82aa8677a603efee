"""The endpoints, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import tenacity
from pydantic import SecretStr

from movierec_assets.errors import EndpointError
from movierec_serving import tracing
from movierec_serving.bundle.experiment import Experiment

A_CONNECTION = 25  # users asked about over one connection
RELOAD_S = 60.0  # it re-hashes the whole bundle
_persistently = tenacity.Retrying(
    retry=tenacity.retry_if_exception_type(httpx.TransportError),
    stop=tenacity.stop_after_attempt(3),
    wait=tenacity.wait_exponential(multiplier=0.2),
    reraise=True,
)


@dataclass(frozen=True)
class ServedVersion:
    """What an endpoint answers from: the version's number, and which model that is."""

    version: int
    identity: str


@dataclass(frozen=True)
class Reload:
    """What an endpoint acknowledged."""

    url: str
    version: int
    previous: int | None
    changed: bool
    seconds: float


@dataclass(frozen=True)
class Answer:
    """A user's list as an endpoint answered it; `source` is what the list was made by, seconds are
    those of the request.
    """

    user_id: str
    version: int
    source: str
    movies: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class ServingClient:
    """Asks endpoints what they serve, and to serve another version.

    No ConfigurableResource: Dagster's UI shows the configuration of those, the token included.
    """

    endpoints: tuple[str, ...]
    token: SecretStr | None = None

    def served(self, url: str) -> int | None:
        """The version an endpoint serves, None while it has none; raises as `model`."""
        model = self.model(url)
        return model.version if model is not None else None

    def model(self, url: str) -> ServedVersion | None:
        """What an endpoint serves, None while it has nothing.

        Raises:
            EndpointError: it does not answer, or not as an endpoint does.
        """
        with self._connection(url, 2.0) as client:
            answer = client.get("/model")
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return None
        body = _body(url, answer)
        return ServedVersion(int(body["version"]), str(body.get("identity", "")))

    def reload(self, url: str, version: int) -> Reload:
        """Make an endpoint serve `version`; returns when every request sent from now on is answered
        by it.

        Raises:
            EndpointError: no answer, a wrong token, or a bundle that it refused, with its reason.
        """
        with self._connection(url, RELOAD_S) as client:
            answer = _persistently(client.post, "/reload", json={"version": version})
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise EndpointError(
                f"{url} has another MOVIEREC_RELOAD_TOKEN than this process: start it again "
                "if .env was written anew"
            )
        body = _body(url, answer)
        seconds = answer.elapsed.total_seconds()
        return Reload(
            url, body["version"], body.get("previous"), bool(body.get("changed")), seconds
        )

    def experiment(self, url: str, experiment: Experiment | None) -> None:
        """Make an endpoint answer by the arms of an experiment, or by production alone.

        Raises:
            EndpointError: no answer, or a version that it refused, with its reason.
        """
        with self._connection(url, RELOAD_S) as client:
            if experiment is None:
                answer = _persistently(client.delete, "/experiment")
            else:
                body = experiment.model_dump(mode="json", exclude={"format_version"})
                answer = _persistently(client.put, "/experiment", json=body)
        _refuse_errors(url, answer)

    def recommended(self, url: str, user_ids: Sequence[str], n: int) -> list[Answer]:
        """Ask for the list of each user, one after the other, as applications do.

        Raises:
            EndpointError: one of the requests got no answer, or no list.
        """
        answers: list[Answer] = []
        for start in range(0, len(user_ids), A_CONNECTION):
            with self._connection(url) as client:  # which is one process of the endpoint
                for user_id in user_ids[start : start + A_CONNECTION]:
                    path = f"/recommend/{quote(user_id, safe='')}"
                    answer = client.get(path, params={"n": n, "shown": "false"})
                    answers.append(_answer(user_id, _body(url, answer, "model_version"), answer))
        return answers

    def recommended_together(self, url: str, user_ids: Sequence[str], n: int) -> list[Answer]:
        """Ask for the lists of at most 1,000 users by one request, which LitServe's workers answer.

        Raises:
            EndpointError: no answer, or no list for one of the users.
        """
        with self._connection(url) as client:
            asked = {"users": list(user_ids), "n": n, "shown": False}  # nobody sees these
            answer = client.post("/recommend", json=asked)
        body = _body(url, answer, "model_version")
        lists = body.get("results")
        if not isinstance(lists, list) or len(lists) != len(user_ids):
            raise EndpointError(
                f"{url} has no list for each of {len(user_ids)} users: {answer.text[:100]!r}"
            )
        return [
            _answer(user, {**body, **own}, answer)
            for user, own in zip(user_ids, lists, strict=True)
        ]

    def hidden(self, url: str, movie_id: str) -> bool:
        """Whether an endpoint shows a movie to nobody: taken off, or not available today.

        Raises:
            EndpointError: it does not say.
        """
        with self._connection(url) as client:
            answer = client.get(f"/movies/{quote(movie_id, safe='')}")
        movie = _body(url, answer, "model_version")
        return bool(movie.get("blocked")) or movie.get("listed") is False

    @contextmanager
    def _connection(self, url: str, timeout_s: float = 5.0) -> Iterator[httpx.Client]:
        """A client of an endpoint, whose own deadline is 2 s; what fails in the block is the
        endpoint's failure.
        """
        headers = tracing.current()
        if self.token:
            headers["Authorization"] = f"Bearer {self.token.get_secret_value()}"
        try:
            with httpx.Client(base_url=url, headers=headers, timeout=timeout_s) as client:
                yield client
        except httpx.HTTPError as error:
            raise EndpointError(
                f"{url} does not answer: {str(error) or type(error).__name__}"
            ) from error


def _refuse_errors(url: str, answer: httpx.Response) -> None:
    if answer.is_error:
        raise EndpointError(f"{url} answered {answer.status_code}: {answer.text[:500]}")


def _answer(user_id: str, body: Mapping[str, Any], answer: httpx.Response) -> Answer:
    try:
        movies = tuple(item["movie_id"] for item in body["items"])
    except (KeyError, TypeError) as error:
        raise EndpointError(
            f"{answer.url} has no list for user {user_id}: {answer.text[:100]!r}"
        ) from error
    version, source = body["model_version"], str(body.get("source", ""))
    return Answer(user_id, version, source, movies, answer.elapsed.total_seconds())


def _body(url: str, answer: httpx.Response, version: str = "version") -> dict[str, Any]:
    """The answer's JSON, with a version in it."""
    _refuse_errors(url, answer)
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get(version), int):
        raise EndpointError(f"{url} does not answer as an endpoint does: {answer.text[:100]!r}")
    return body
