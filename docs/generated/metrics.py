"""The metrics that the endpoint and the exporter give Prometheus, read from their source."""

from __future__ import annotations

import ast
from pathlib import Path

from docs.generated.markdown import sentence

ROOT = Path(__file__).parents[2]


def metrics() -> str:
    """A heading for each Prometheus metric that the endpoint declares."""
    return _metrics(ROOT / "movierec_serving")


def pipeline_metrics() -> str:
    """A heading for each Prometheus metric of the pipeline, which `movierec metrics` gives."""
    return _metrics(ROOT / "movierec_assets" / "exporting")


def _metrics(source: Path) -> str:
    sections = [
        _metric(node)
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    return "\n\n".join(sorted(section for section in sections if section))


def _metric(call: ast.Call) -> str | None:
    kind = getattr(call.func, "id", "").removesuffix("MetricFamily").removesuffix("_by").lower()
    if kind not in ("counter", "gauge", "histogram", "summary"):
        return None
    if len(call.args) < 2 or not isinstance(call.args[0], ast.Constant):
        return None  # the standard library's Counter, or a function that passes a name on
    name, meaning = map(ast.literal_eval, call.args[:2])
    given = [word.value for word in call.keywords if word.arg == "labels"] or call.args[2:3]
    labels = _labels(given[0]) if given else []
    name += "_total" if kind == "counter" else ""
    said = f"Labels: {', '.join(f'`{label}`' for label in labels)}." if labels else "No labels."
    return f"### `{name}`\n\n{sentence(meaning)} A {kind}. {said}"


def _labels(given: ast.expr) -> list[str]:
    """The labels, of which `gauge_by` has one without brackets; none of what is no name."""
    if isinstance(given, ast.List | ast.Tuple):
        return [str(label) for label in ast.literal_eval(given)]
    return [given.value] if isinstance(given, ast.Constant) and isinstance(given.value, str) else []
