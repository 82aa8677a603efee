"""Pictures in Dagster's UI, inside Markdown metadata. A day's are SVG: plotting one costs as much
as a small fit.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import dagster as dg

HALF_STARS = [half / 2 for half in range(1, 11)]
COLOUR = "#4f43dd"


class Bounds(NamedTuple):
    """A relative difference with its bounds, and of how many users it is."""

    lower: float
    middle: float
    upper: float
    users: int

    @classmethod
    def of(cls, figures: Mapping[str, float]) -> Bounds | None:
        """Take them from the gate's figures; None where one is missing.

        What is infinite is not recorded: no bound is known where a reference has few hits or none.
        """
        if not {"lower", "difference", "upper", "users"} <= figures.keys():
            return None
        users = int(figures["users"])
        return cls(figures["lower"], figures["difference"], figures["upper"], users)


def histogram(counts: Mapping[float, int]) -> dg.MarkdownMetadataValue:
    """Ratings by star as a picture: a bar with its count for each, and how many there are."""
    highest, total = max([1, *counts.values()]), sum(counts.values())
    shapes = ""
    for place, star in enumerate(HALF_STARS):
        count = counts.get(star, 0)
        height, middle = 50 * count / highest, 36 * place + 18
        shapes += (
            f'<rect x="{middle - 14}" y="{66 - height:.1f}" width="28" '
            f'height="{height:.1f}" fill="{COLOUR}"/>'
        )
        shapes += _text(middle, 80, f"{star:g}", "middle")
        if count:
            shapes += _text(middle, 62 - height, f"{count:,}", "middle")
    shapes += _text(180, 96, f"stars, {total:,} ratings", "middle")
    return _markdown(shapes, 360, 102, "ratings by stars")


def differences(intervals: Mapping[str, Bounds], margin: float) -> dg.MarkdownMetadataValue:
    """NDCG@10 against each reference, with its bounds in numbers, beside the margin; the lower
    bound decides.
    """
    values = [-margin, 0.0, *(value for bounds in intervals.values() for value in bounds[:3])]
    low, high = min(values), max(values)

    def x(value: float) -> float:
        return 75 + 170 * (value - low) / ((high - low) or 1)

    bottom = 20 * len(intervals) + 5
    shapes = ""
    for value, text, style in (
        (-margin, f"margin {-margin:+.0%}", 'c0392b" stroke-dasharray="4 3'),
        (0.0, "0", "888888"),
    ):
        shapes += f'<path d="M{x(value):.1f} 0V{bottom}" stroke="#{style}"/>'
        shapes += _text(x(value), bottom + 12, text, "middle")
    for place, (name, (lower, middle, upper, users)) in enumerate(intervals.items()):
        y = 20 * place + 14
        shapes += _text(2, y + 4, name, "start")
        shapes += (
            f'<path d="M{x(lower):.1f} {y}H{x(upper):.1f}" stroke="{COLOUR}" stroke-width="3"/>'
        )
        shapes += f'<circle cx="{x(middle):.1f}" cy="{y}" r="4" fill="{COLOUR}"/>'
        figures = f"{middle:+.1%} ({lower:+.1%} to {upper:+.1%}), {users:,} users"
        shapes += _text(258, y + 4, figures, "start")
    return _markdown(shapes, 460, bottom + 16, "NDCG@10 against each reference, percent")


def effects(measures: Mapping[str, tuple[float, bool]]) -> dg.MarkdownMetadataValue:
    """(effect, alarm) of each measure as a bar; 1 is what is allowed, and 3 is where bars end."""
    shapes, bottom = "", 20 * len(measures) + 5
    for place, (name, (effect, alarm)) in enumerate(measures.items()):
        y = 20 * place + 4
        shapes += _text(2, y + 11, name, "start")
        width, colour = 50 * min(effect, 3.0), "#c0392b" if alarm else COLOUR
        shapes += f'<rect x="100" y="{y}" width="{width:.1f}" height="14" fill="{colour}"/>'
    shapes += f'<path d="M150 0V{bottom}" stroke="#888888" stroke-dasharray="4 3"/>'
    shapes += _text(150, bottom + 12, "allowed", "middle")
    return _markdown(shapes, 260, bottom + 16, "how far the day is from those before it")


def curves(
    lines: Mapping[str, Sequence[float]], days: Sequence[str], title: str
) -> dg.MarkdownMetadataValue:
    """A line for each name over the days; drawn once a run, so a plotting library may."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 2.6), dpi=60)
    axes = figure.add_axes((0.08, 0.12, 0.7, 0.76))
    for name, values in lines.items():
        axes.plot(range(len(days)), values, label=name)
    places = sorted({0, len(days) // 2, len(days) - 1})
    axes.set_xticks(places, [days[place] for place in places], fontsize=8)
    figure.suptitle(title, fontsize=8)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return _png(figure, title)


def search_pictures(study: Any) -> dict[str, dg.MarkdownMetadataValue]:
    """Optuna's plots of a search: how it went, what mattered, and each parameter's values."""
    import warnings

    import matplotlib as mpl
    from matplotlib import pyplot
    from optuna.exceptions import ExperimentalWarning
    from optuna.visualization import matplotlib as plots

    pictures = {}
    with warnings.catch_warnings(), mpl.rc_context({"figure.figsize": (9, 4), "figure.dpi": 60}):
        # What optuna.visualization.matplotlib is as a whole.
        warnings.simplefilter("ignore", ExperimentalWarning)
        mpl.use("agg")
        for name, plot in (
            ("history", plots.plot_optimization_history),
            ("importances", plots.plot_param_importances),
            ("slices", plots.plot_slice),
        ):
            plot(study)
            pictures[name] = _png(pyplot.gcf(), f"{name} of the search")
            pyplot.close("all")
    return pictures


def _png(figure: Any, title: str) -> dg.MarkdownMetadataValue:
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return _image(png.getvalue(), "png", title)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    style = f'font-size="11" font-family="sans-serif" fill="#666666" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y}" {style}>{text}</text>'


def _markdown(shapes: str, width: int, height: int, title: str) -> dg.MarkdownMetadataValue:
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">{shapes}</svg>'
    )
    return _image(svg.encode(), "svg+xml", title)


def _image(content: bytes, kind: str, title: str) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(
        f"![{title}](data:image/{kind};base64,{base64.b64encode(content).decode()})"
    )
