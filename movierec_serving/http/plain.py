"""The most frequent answer by the shortest way: a known user's published list, and nothing else.

Whatever has a say in a list beside the publication is asked for here, and decided elsewhere: by
`recommender.py`, which makes the same answer of the same list.
"""

import secrets
import time

from movierec_serving import metrics
from movierec_serving.bundle import PublishedModel
from movierec_serving.http.listing import cards, kept, milliseconds_since
from movierec_serving.http.paging import Place, question, token
from movierec_serving.http.rankings import LEAST_SCORE
from movierec_serving.http.recommender import stamped
from movierec_serving.http.replies import Reply
from movierec_serving.http.schemas.requests import Options
from movierec_serving.model.holder import ModelHolder


def plain_list(holder: ModelHolder, user: str, path: str, options: Options) -> Reply | None:
    """The answer to `path`; None where more than the published list has a say in it.

    Raises:
        ModelUnavailableError, OtherShardError: as `Recommender`.
    """
    began, model, n = time.perf_counter_ns(), holder.current(), options.n
    if not _alone(holder, model, user) or (row := model.user_row(user)) is None:
        return None
    rows, scores = model.top_items[row, :n].tolist(), model.top_scores[row, :n].tolist()
    if rows[-1] < 0 or scores[0] <= LEAST_SCORE:
        return None
    source = model.bundle.family.name
    items = cards(model, zip(rows, scores, strict=True), source)
    metrics.count_lists([None])
    id_ = f"{model.version}-{secrets.token_hex(12)}"
    if options.shown and holder.shown is not None:
        ms = milliseconds_since(began)
        holder.shown.write([kept(id_, model.version, source, items, ms, user)])
    return stamped(
        model,
        {
            "recommendation_id": id_,
            "user_id": user,
            "source": source,
            "items": items,
            "next_page": token(Place(model.version, n), question(path, options)),
        },
    )


def _alone(holder: ModelHolder, model: PublishedModel, user: str) -> bool:
    """Whether the published list is all that counts for a user."""
    lately = holder.lately
    return not (
        holder.explore
        or model.catalogue.bounded
        or len(holder.blocked(model))
        or holder.arms.experiment() is not None
        or (lately is not None and lately.log.perhaps_fresh(user))
    )
