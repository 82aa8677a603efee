"""Notifications of what went wrong: the log, and a Slack-compatible webhook."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import tenacity
from pydantic import SecretStr

from movierec_assets.errors import WebhookError
from movierec_assets.settings import settings

logger = logging.getLogger(__name__)


def webserver() -> str:
    """Where `movierec up` runs Dagster's UI, for links."""
    return f"http://127.0.0.1:{settings().webserver_port}"


@dataclass(frozen=True)
class Notifier:
    """Sends texts to whoever is to know.

    The webhook's URL is a secret: no message names it, and httpx, which logs every URL, is not
    used.
    """

    webhook: SecretStr | None = None
    pause_s: float = 1.0  # before the second attempt; the third waits twice as long

    def send(self, text: str) -> bool:
        """Log `text`, and post it to the webhook if there is one; whether all that was done. Never
        raises.
        """
        logger.warning(text)
        if self.webhook is None:
            return True
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((OSError, WebhookError)),
            stop=tenacity.stop_after_attempt(3),
            wait=tenacity.wait_exponential(multiplier=self.pause_s),
            reraise=True,
        )
        try:
            attempts(_post, self.webhook.get_secret_value(), text)
        except (OSError, WebhookError, ValueError, HTTPException) as error:
            cause = str(error) if isinstance(error, WebhookError) else type(error).__name__
            logger.error("the webhook failed (%s): this notification is in the log only", cause)
            return False
        return True


def _post(url: str, text: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise ValueError("no HTTP address")
    body = json.dumps({"text": text}).encode()
    request = Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - checked above
    try:
        with urlopen(request, timeout=5.0):  # noqa: S310
            pass
    except HTTPError as error:
        with error:  # it is an open answer, too
            raise WebhookError(f"status {error.code}") from None
