"""The experiment that the endpoint carries out: begun, changed and ended by those who run it."""

from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Response
from filelock import Timeout
from pydantic import ValidationError

from movierec_serving.bundle.experiment import Experiment
from movierec_serving.errors import ReloadRefusedError
from movierec_serving.http.replies import Reply, invalid, problem, reply
from movierec_serving.http.routes.documented import BAD_BODY, problems
from movierec_serving.http.routes.guard import GUARDED
from movierec_serving.http.schemas.experiments import ExperimentAnswer, ExperimentRequest
from movierec_serving.model.holder import ModelHolder

REFUSED = problems(
    {
        404: "The store lacks the version of an arm",
        409: "An arm's version failed a check, or users would change arm; the answer says which",
    }
)


def add_experiment_routes(app: FastAPI, holder: ModelHolder, guard: Sequence[Any]) -> None:
    @app.put(
        "/experiment",
        response_model=ExperimentAnswer,
        responses={**GUARDED, **REFUSED, **BAD_BODY},
        dependencies=guard,
        summary="Answer users by the arms of an experiment",
    )
    def put_experiment(request: ExperimentRequest) -> Response:
        """When this has answered, every later request is answered by it, from every process of all
        endpoints of the store. The same experiment may come again, with new versions of its arms
        and with larger shares. What is refused changes nothing.
        """
        try:
            said = {"format_version": Experiment.FORMATS[-1], **request.model_dump()}
            experiment = Experiment.model_validate_json(orjson.dumps(said))  # strict, lists aside
        except ValidationError as error:
            return invalid(error.errors(include_url=False), "body").response()
        return changed(experiment).response()

    @app.delete(
        "/experiment",
        response_model=ExperimentAnswer,
        responses=GUARDED,
        dependencies=guard,
        summary="End the experiment: everybody is answered by production",
    )
    def delete_experiment() -> Response:
        return changed(None).response()

    def changed(experiment: Experiment | None) -> Reply:
        try:
            if experiment is None:
                holder.arms.set(None)
            else:
                holder.arms.follow(experiment)
        except ReloadRefusedError as error:
            return problem(error.status, str(error))
        except Timeout:
            return problem(503, "another change of the experiment does not end")
        holder.renew_events()
        return reply({"experiment": described(experiment)})


def described(experiment: Experiment | None) -> dict[str, Any] | None:
    """Describe an experiment as answers do: the arms with their shares and versions."""
    if experiment is None:
        return None
    arms = [{**arm.model_dump(), "share": experiment.shares[arm.name]} for arm in experiment.arms]
    return {"name": experiment.name, "arms": arms, "interleave": experiment.interleave}
