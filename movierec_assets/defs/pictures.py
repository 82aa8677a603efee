"""Pictures in Dagster's UI: PNG inside Markdown metadata."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import dagster as dg

HALF_STARS = [half / 2 for half in range(1, 11)]


@cache
def _histogram() -> tuple[Any, Any, Any]:
    """Figure, axes and bars, drawn once a process: a new figure a day would cost more than the day."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2, 1.2), dpi=60)
    axes = figure.add_axes((0.02, 0.2, 0.96, 0.78))
    bars = axes.bar(range(10), [0] * 10, color="#4f43dd")
    axes.set_xticks(range(1, 10, 2), ["1", "2", "3", "4", "5"], fontsize=8)
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure, axes, bars


def histogram(counts: Mapping[float, int]) -> dg.MarkdownMetadataValue:
    """Ratings by star as a picture."""
    figure, axes, bars = _histogram()
    for bar, star in zip(bars, HALF_STARS, strict=True):
        bar.set_height(counts.get(star, 0))
    axes.set_ylim(0, max([1, *counts.values()]))
    return _markdown(figure, "ratings by stars")


@cache
def _difference_axes() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 1.3), dpi=60)
    return figure, figure.add_axes((0.2, 0.25, 0.76, 0.7))


def differences(
    intervals: Mapping[str, tuple[float, float, float]], margin: float
) -> dg.MarkdownMetadataValue:
    """(lower, difference, upper) of NDCG@10 against each reference, beside the margin; the lower decides."""
    figure, axes = _difference_axes()
    axes.clear()
    for place, (lower, middle, upper) in enumerate(intervals.values()):
        axes.plot([100 * lower, 100 * upper], [place, place], color="#4f43dd", linewidth=3)
        axes.plot([100 * middle], [place], "o", color="#4f43dd")
    axes.axvline(-100 * margin, color="#c0392b", linestyle="--")
    axes.axvline(0, color="#888888", linewidth=0.8)
    axes.set_yticks(range(len(intervals)), list(intervals), fontsize=8)
    axes.set_ylim(-0.6, len(intervals) - 0.4)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return _markdown(figure, "NDCG@10 against each reference, percent")


def curves(lines: Mapping[str, Sequence[float]], days: Sequence[str], title: str) -> dg.MarkdownMetadataValue:
    """A line for each name over the days."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 2.6), dpi=60)
    axes = figure.add_axes((0.08, 0.12, 0.7, 0.76))
    for name, values in lines.items():
        axes.plot(range(len(days)), values, label=name)
    places = sorted({0, len(days) // 2, len(days) - 1})
    axes.set_xticks(places, [days[place] for place in places], fontsize=8)
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return _markdown(figure, title)


def search_pictures(study: Any) -> dict[str, dg.MarkdownMetadataValue]:
    """Optuna's plots of a search: how it went, what mattered, and each parameter's values."""
    import warnings

    import matplotlib as mpl
    from matplotlib import pyplot
    from optuna.exceptions import ExperimentalWarning
    from optuna.visualization import matplotlib as plots

    found = {}
    with warnings.catch_warnings(), mpl.rc_context({"figure.figsize": (9, 4), "figure.dpi": 60}):
        warnings.simplefilter("ignore", ExperimentalWarning)  # optuna.visualization.matplotlib as a whole
        mpl.use("agg")
        for name, plot in (
            ("history", plots.plot_optimization_history),
            ("importances", plots.plot_param_importances),
            ("slices", plots.plot_slice),
        ):
            plot(study)
            found[name] = _markdown(pyplot.gcf(), f"{name} of the search")
            pyplot.close("all")
    return found


def _markdown(figure: Any, title: str) -> dg.MarkdownMetadataValue:
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return dg.MetadataValue.md(
        f"![{title}](data:image/png;base64,{base64.b64encode(png.getvalue()).decode()})"
    )
