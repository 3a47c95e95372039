"""The planner's chart: what each round adds, against every budget, above the noise that buys it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accounting.charts import BUDGET_COLOUR, COLOURS, SYMBOLS

QUIET = "#7A8688"
_HEADROOM = 1.15
_MOST_DRAWN = 400  # rounds whose noise is drawn; a screen shows no more
_BUDGET_IN_VIEW = 4.0  # a budget this many times the plan is named, not drawn to scale


@dataclass(frozen=True)
class Line:
    """ε composed after some rounds, against a budget; `start` is what was spent before round 1."""

    name: str
    start: float
    points: tuple[tuple[int, float], ...]
    budget: float | None


def outlook(
    lines: Sequence[Line], noise: Sequence[float], naive: Sequence[tuple[int, float]]
) -> dict[str, Any]:
    """Composed ε of each line and its budget, the naive sum, and the noise of every round.

    The first line is the study itself. The naive sum runs out of the picture where it has to.
    """
    rounds = len(noise)
    top = _top(lines)
    data = []
    for number, line in enumerate(lines):
        data.append(_curve(number, line))
        if line.budget is not None and line.budget <= top:
            data.append(_level(number, line, rounds))
    data += [_naive(naive), _noise(noise)]
    return {"data": data, "layout": _layout(rounds, top, max(noise))}


def _top(lines: Sequence[Line]) -> float:
    spent = max((y for line in lines for _, y in line.points), default=0.0)
    budgets = [line.budget for line in lines if line.budget is not None]
    seen = [budget for budget in budgets if budget <= _BUDGET_IN_VIEW * max(spent, 1e-9)]
    return max([spent, *seen, 1e-3]) * _HEADROOM


def _curve(number: int, line: Line) -> dict[str, Any]:
    points = ((0, line.start), *line.points)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": line.name,
        "x": [x for x, _ in points],
        "y": [round(y, 4) for _, y in points],
        "line": {"color": COLOURS[number % len(COLOURS)], "width": 2.5},
        "marker": {"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 7},
        "hovertemplate": "after round %{x}: ε = %{y:.3f}<extra>%{fullData.name}</extra>",
    }


def _level(number: int, line: Line, rounds: int) -> dict[str, Any]:
    colour = BUDGET_COLOUR if number == 0 else COLOURS[number % len(COLOURS)]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"budget of {line.name}: {line.budget:g}",
        "x": [0, rounds],
        "y": [line.budget, line.budget],
        "line": {"color": colour, "width": 2, "dash": "dash"},
        "hoverinfo": "skip",
    }


def _naive(points: Sequence[tuple[int, float]]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "added up (wrong)",
        "x": [0, *(x for x, _ in points)],
        "y": [0, *(round(y, 4) for _, y in points)],
        "line": {"color": QUIET, "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
    }


def _noise(noise: Sequence[float]) -> dict[str, Any]:
    """Of very many rounds some, in equal distances."""
    count = min(len(noise), _MOST_DRAWN)
    places = [round(n * (len(noise) - 1) / max(count - 1, 1)) for n in range(count)]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "noise",
        "showlegend": False,
        "x": [place + 1 for place in places] if count > 1 else [0.5, 1.5],
        "y": [round(noise[place], 4) for place in places] * (1 if count > 1 else 2),
        "yaxis": "y2",
        "line": {"color": COLOURS[2], "width": 2, "shape": "hvh"},
        "fill": "tozeroy",
        "fillcolor": "rgba(0, 158, 115, 0.16)",
        "hovertemplate": "round %{x}: noise %{y:.4g}<extra></extra>",
    }


def _layout(rounds: int, top: float, loudest: float) -> dict[str, Any]:
    return {
        "margin": {"l": 48, "r": 8, "t": 8, "b": 40},
        "xaxis": {"title": {"text": "round"}, "range": [0, rounds + 0.5], "anchor": "y2"},
        "yaxis": {"title": {"text": "ε so far"}, "range": [0, top], "domain": [0.4, 1]},
        "yaxis2": {
            "title": {"text": "noise"},
            "range": [0, loudest * _HEADROOM],
            "domain": [0, 0.28],
            "nticks": 4,
        },
        "legend": {"orientation": "h", "y": -0.26},
        "hovermode": "closest",
    }
