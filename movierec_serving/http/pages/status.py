"""How production is, for those who run it: what the pipeline told last, and what is served here."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from movierec_serving.bundle import PipelineReport, read_report
from movierec_serving.errors import ModelUnavailableError
from movierec_serving.http.pages.rendering import in_words, render
from movierec_serving.http.pages.visitor import visitor
from movierec_serving.model.holder import ModelHolder
from movierec_serving.model.reload import last_reload
from movierec_serving.settings import ServingSettings

OLD = 15 * 60  # seconds after which the daemon is asked about; it writes every minute
LINKS = (("metrics", "/metrics"), ("model", "/model"), ("docs", "/docs"))


def add_status(router: APIRouter, settings: ServingSettings, holder: ModelHolder) -> None:
    @router.get("/status")
    def get_status(request: Request) -> Response:
        report = read_report(settings.store)
        age = _age(report)
        return render(
            "status.html",
            user=visitor(request),
            report=report,
            age=None if age is None else in_words(age),
            old=age is not None and age > OLD,
            served=_served(holder),
            experiment=holder.arms.experiment(),
            reload=last_reload(settings.pointer),
            links=[*(report.links.items() if report else ()), *LINKS],
        )


def _age(report: PipelineReport | None) -> float | None:
    """Seconds since the pipeline wrote the report."""
    if report is None:
        return None
    return (datetime.now(UTC) - datetime.fromisoformat(report.at)).total_seconds()


def _served(holder: ModelHolder) -> tuple[int, str] | None:
    """Version and data day of what this endpoint serves."""
    try:
        model = holder.current()
    except ModelUnavailableError:
        return None
    return model.version, model.data_until
