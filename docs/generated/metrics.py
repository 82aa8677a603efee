"""The metrics that the endpoint gives Prometheus, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

from docs.generated.markdown import sentence

SOURCE = Path(__file__).parents[2] / "movierec_serving"


def metrics() -> str:
    """A heading for each Prometheus metric that the endpoint declares, read from the source."""
    sections = [
        _metric(node)
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    return "\n\n".join(sorted(section for section in sections if section))


def _metric(call: ast.Call) -> str | None:
    kind = getattr(call.func, "id", "").removesuffix("MetricFamily").lower()
    if kind not in ("counter", "gauge", "histogram", "summary"):
        return None
    name, meaning = (ast.literal_eval(one) for one in call.args[:2])
    labels = ast.literal_eval(call.args[2]) if _is_list(call.args[2:3]) else []
    name += "_total" if kind == "counter" else ""
    said = f"Labels: {', '.join(f'`{label}`' for label in labels)}." if labels else "No labels."
    return f"### `{name}`\n\n{sentence(meaning)} A {kind}. {said}"


def _is_list(arguments: Sequence[ast.expr]) -> bool:
    return bool(arguments) and isinstance(arguments[0], ast.List | ast.Tuple)
