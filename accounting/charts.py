"""The charts of what was spent: pure functions from numbers to Plotly figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")
BUDGET_COLOUR = "#B3362C"


@dataclass(frozen=True)
class Curve:
    """ε composed after each round at one institution."""

    name: str
    points: tuple[tuple[int, float], ...]


def burn_down(
    curves: Sequence[Curve],
    *,
    rounds: int,
    budget: float | None,
    name: str = "budget",
    ahead: Sequence[tuple[int, float]] = (),
) -> dict[str, Any]:
    """ε spent per site against the budget.

    `name` is what the legend calls the budget: see `budget_name`.
    `ahead` is what the sealed plan still adds to the curve that `leading` names: (round, ε).
    """
    data = [_curve(number, curve) for number, curve in enumerate(_merged(curves))]
    data += _forecast(curves, ahead)
    if budget is not None:
        data.append(_level(name, budget, rounds))
    highest = max([y for _, y in ahead] + [budget or 0.0])
    return {"data": data, "layout": _layout(curves, rounds, highest)}


def budget_name(budgets: Sequence[float]) -> str:
    """What to call the lowest of these: institutions of other classes may have higher ones."""
    return "lowest budget" if len(set(budgets)) > 1 else "budget"


def leading(curves: Sequence[Curve]) -> int | None:
    """Which curve spent most, the one farthest ahead among equals; None where there is none."""
    ends = [curve.points[-1][::-1] if curve.points else (0.0, 0) for curve in curves]
    return max(range(len(ends)), key=ends.__getitem__, default=None)


def _merged(curves: Sequence[Curve]) -> list[Curve]:
    """Sites with the same curve share one line, which would hide the others anyway."""
    names: dict[tuple[tuple[int, float], ...], list[str]] = {}
    for curve in curves:
        names.setdefault(curve.points, []).append(curve.name)
    return [Curve(together(who), points) for points, who in names.items() if points]


def together(names: Sequence[str]) -> str:
    """What a legend calls institutions that share one line."""
    return names[0] if len(names) == 1 else f"{len(names)} institutions alike"


def _curve(number: int, curve: Curve) -> dict[str, Any]:
    points = ((0, 0.0), *curve.points)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": curve.name,
        "x": [x for x, _ in points],
        "y": [round(y, 4) for _, y in points],
        "line": {"color": COLOURS[number % len(COLOURS)], "width": 2.5},
        "marker": {"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 8},
        "hovertemplate": "round %{x}: ε = %{y:.3f}<extra>%{fullData.name}</extra>",
    }


def _forecast(curves: Sequence[Curve], ahead: Sequence[tuple[int, float]]) -> list[dict[str, Any]]:
    first = leading(curves)
    if not ahead or first is None:
        return []
    points = ((0, 0.0), *curves[first].points)[-1:] + tuple(ahead)
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "sealed plan",
            "x": [x for x, _ in points],
            "y": [round(y, 4) for _, y in points],
            "line": {"color": "#7A8688", "width": 1.5, "dash": "dot"},
            "hovertemplate": "planned, round %{x}: ε = %{y:.3f}<extra></extra>",
        }
    ]


def _level(name: str, height: float, rounds: int) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{name} ε = {height:g}",
        "x": [0, rounds],
        "y": [height, height],
        "line": {"color": BUDGET_COLOUR, "width": 2, "dash": "dash"},
        "hoverinfo": "skip",
    }


def _layout(curves: Sequence[Curve], rounds: int, level: float) -> dict[str, Any]:
    highest = max([y for c in curves for _, y in c.points] + [level, 0.01])
    return {
        "margin": {"l": 52, "r": 12, "t": 12, "b": 40},
        "xaxis": {"title": {"text": "round"}, "range": [0, rounds + 0.2], "rangemode": "tozero"},
        "yaxis": {"title": {"text": "ε"}, "range": [0, highest * 1.1]},
        "legend": {"orientation": "h", "y": -0.32},
        "hovermode": "closest",
    }
