"""The PDF's drawings: the ε burn-down against the budget, and a QR code of a digest."""

from collections.abc import Mapping, Sequence
from typing import Any

import segno
from reportlab.graphics.charts.lineplots import LinePlot
from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.graphics.widgets.markers import makeMarker

from accounting.reports.pdf import style

Points = list[tuple[float, float]]
_MARKERS = ("FilledCircle", "FilledSquare", "FilledDiamond", "FilledTriangle", "Circle", "Square")
HEIGHT = 190.0
MOST_MARKED = 45  # points of a line; more markers would hide it


def burn_down(
    series: Mapping[str, Points],
    budget: float | None,
    last: int,
    over: str = "round",
    *,
    label: str = "budget",
    width: float = style.WIDTH,
) -> Drawing:
    """ε composed after each round (or event), one line per part; the budget is dashed."""
    drawing = Drawing(width, HEIGHT + 14 * _lines(series))
    plot = _plot(list(series.values()), budget, last, width, drawing.height - HEIGHT)
    drawing.add(plot)
    drawing.add(String(4, drawing.height - 10, "ε", fontName=style.BOLD, fontSize=9))
    drawing.add(String(width - 44, plot.y - 26, over, fontName=style.FONT, fontSize=8))
    if budget is not None:
        _budget_line(drawing, plot, budget, label)
    _legend(drawing, list(series))
    return drawing


def qr_code(data: str, size: float) -> Drawing:
    """A QR code (segno, error correction M) as vector squares with its quiet zone."""
    code = segno.make(data, error="m", micro=False)
    rows = list(code.matrix_iter(border=4))
    cell = size / len(rows)
    drawing = Drawing(size, size)
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            if dark:
                drawing.add(
                    Rect(
                        x * cell,
                        size - (y + 1) * cell,
                        cell,
                        cell,
                        strokeWidth=0,
                        fillColor=style.INK,
                    )
                )
    return drawing


def _plot(
    lines: Sequence[Points], budget: float | None, rounds: int, width: float, low: float
) -> LinePlot:
    plot = LinePlot()
    plot.x, plot.y, plot.width, plot.height = 32, low + 34, width - 44, HEIGHT - 52
    plot.data = [points if points[0][0] == 0 else [(0.0, 0.0), *points] for points in lines]
    highest = max([y for points in lines for _, y in points] + [budget or 0.0, 1e-6])
    _axis(plot.xValueAxis, max(rounds, 1), max(1, round(rounds / 10)), "%d")
    _axis(plot.yValueAxis, highest * 1.12, None, "%.2f")
    plot.yValueAxis.visibleGrid, plot.yValueAxis.gridStrokeColor = True, style.LINE
    for number in range(len(lines)):
        plot.lines[number].strokeColor = style.SERIES[number % len(style.SERIES)]
        plot.lines[number].strokeWidth = 1.4
        if max(map(len, lines)) <= MOST_MARKED:
            plot.lines[number].symbol = makeMarker(_MARKERS[number % len(_MARKERS)], size=4)
    return plot


def _axis(axis: Any, highest: float, step: float | None, form: str) -> None:
    axis.valueMin, axis.valueMax = 0, highest
    if step:
        axis.valueStep = step
    axis.labelTextFormat = form
    axis.labels.fontName, axis.labels.fontSize = style.FONT, 7.5
    axis.strokeColor = style.QUIET


def _budget_line(drawing: Drawing, plot: LinePlot, budget: float, label: str) -> None:
    y = plot.y + plot.height * budget / plot.yValueAxis.valueMax
    drawing.add(
        Line(plot.x, y, plot.x + plot.width, y, strokeColor=style.BAD, strokeDashArray=(4, 3))
    )
    words = f"{label} ε = {budget:g}"
    drawing.add(
        String(plot.x + 4, y + 3, words, fontName=style.FONT, fontSize=7.5, fillColor=style.BAD)
    )


def _lines(series: Mapping[str, Points]) -> int:
    return (len(series) + 1) // 2


def _legend(drawing: Drawing, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        x = 34 + (number % 2) * drawing.width / 2
        y = 14 * (_lines(dict.fromkeys(names)) - 1 - number // 2) + 4
        marker = makeMarker(_MARKERS[number % len(_MARKERS)], size=5)
        marker.x, marker.y = x, y + 2.5
        marker.fillColor = marker.strokeColor = style.SERIES[number % len(style.SERIES)]
        drawing.add(marker)
        drawing.add(
            String(
                x + 8,
                y,
                name[:120] if len(names) == 1 else name[:58],
                fontName=style.FONT,
                fontSize=8,
                fillColor=style.INK,
            )
        )
