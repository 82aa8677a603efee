"""The body of `POST /recommend`: read, and answered from this process's model.

API processes answer small ones where they arrive, LitServe's workers the others, by this same code.
Errors are values: an exception that cannot be pickled would kill a worker.
"""

import logging

from pydantic import ValidationError

from movierec_serving import metrics
from movierec_serving.errors import ModelUnavailableError, OptionError, OtherShardError
from movierec_serving.http.recommender import Recommender
from movierec_serving.http.replies import (
    INTERNAL,
    Reply,
    invalid,
    misdirected,
    problem,
    wrong_option,
)
from movierec_serving.http.schemas.requests import NewUser, RecommendRequest
from movierec_serving.model.holder import ModelHolder

logger = logging.getLogger(__name__)

SMALL = 4096  # bytes; a list by so many ratings is no more work than a GET with options


def read(body: bytes) -> RecommendRequest | Reply:
    """Read what is asked, or make the reply that says what is wrong with it."""
    try:
        return RecommendRequest.model_validate_json(body)
    except ValidationError as error:
        return invalid(
            error.errors(include_url=False, include_input=False, include_context=False), "body"
        )


def is_for_one(request: RecommendRequest | Reply) -> bool:
    """Whether one list is asked for, or the question is wrong: neither takes long."""
    return isinstance(request, Reply) or request.users is None


def answer(holder: ModelHolder, request: RecommendRequest | Reply) -> Reply:
    if isinstance(request, Reply):
        return request
    try:
        return _recommend(holder, request)
    except ModelUnavailableError as error:
        return problem(503, str(error))
    except OtherShardError as error:
        return misdirected(error)
    except OptionError as error:
        return wrong_option(error, "body")
    except Exception:
        logger.exception("no answer for a body")  # which says what a person rated
        return problem(500, INTERNAL)


def _recommend(holder: ModelHolder, request: RecommendRequest) -> Reply:
    recommender = Recommender(holder, request)
    metrics.count_batch(1 if request.users is None else len(request.users))
    if request.users is not None:
        return recommender.for_users(request.users)
    if request.ratings:
        return recommender.for_user(NewUser(ratings=request.ratings))
    return recommender.for_user(request.user_id or "")
