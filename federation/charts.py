"""Charts of a study's rounds as plain Plotly dictionaries; the page's script only draws them."""

from collections.abc import Sequence
from typing import Any, Protocol

# Chosen to stay apart for colour-blind readers, on light and on dark; dash and marker repeat it.
SERIES = (
    ("accuracy", "Accuracy", "#2a8a7f", "solid", "circle"),
    ("auc", "Area under the ROC curve", "#c0762b", "dash", "diamond"),
)
ERRORS = (
    ("mae", "Mean absolute error", "#2a8a7f", "solid", "circle"),
    ("rmse", "Root mean square error", "#c0762b", "dash", "diamond"),
)
Figure = dict[str, Any]


class Measured(Protocol):
    """A model with its number (0: the initial one) and its metrics."""

    number: int

    @property
    def metrics(self) -> dict[str, Any]:
        """Figures by name, None where undefined."""


def utility(models: Sequence[Measured]) -> Figure:
    """Accuracy and AUC (0 to 1) of each measured model by round; undefined points are gaps.

    Of a number: the two errors, in its own unit.
    """
    numbers = [model.number for model in models]
    errors = any("mae" in model.metrics for model in models)
    layout = _layout("Round", numbers)
    if errors:
        layout["yaxis"] = {"rangemode": "tozero"}
    return {
        "data": [
            _line(label, numbers, [model.metrics.get(key) for model in models], *style)
            for key, label, *style in (ERRORS if errors else SERIES)
        ],
        "layout": layout,
    }


def _line(
    label: str, x: list[int], y: list[float | None], colour: str, dash: str, symbol: str
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label,
        "x": x,
        "y": y,
        "connectgaps": False,
        "line": {"color": colour, "dash": dash, "width": 2.5},
        "marker": {"symbol": symbol, "size": 8, "color": colour},
        "hovertemplate": "%{y:.3f}",
    }


def _layout(x_title: str, numbers: list[int]) -> dict[str, Any]:
    return {
        "margin": {"l": 48, "r": 16, "t": 8, "b": 44},
        "height": 320,
        "hovermode": "x unified",
        "showlegend": True,
        "legend": {"orientation": "h", "y": -0.28, "x": 0},
        "xaxis": {
            "title": {"text": x_title},
            "range": [-0.3, max([*numbers, 1]) + 0.3],
            "dtick": _tick(max([*numbers, 1])),
        },
        "yaxis": {"range": [0, 1.02], "tickformat": ".1f"},
    }


def _tick(last: int) -> int:
    """At most about ten whole-numbered ticks."""
    return max(1, -(-last // 10))
