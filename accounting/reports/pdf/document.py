"""Laying the report out: the order of its parts, the page's frame, the digest on every page."""

import io
from collections.abc import Iterator
from functools import partial
from typing import Any

from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate

from accounting.reports.build import Report
from accounting.reports.pdf import closing, cover, records, spending, style
from accounting.reports.stamps import Stamp


class Pages(Canvas):
    """A canvas that knows, when it draws a foot, how many pages there are."""

    def __init__(self, *args: Any, report: Report, mark: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._report, self._mark, self._states = report, mark, []

    def showPage(self) -> None:  # noqa: N802  (ReportLab's name)
        """Keep the page; it is written once the last one is known."""
        self._states.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        """Write every page with its foot."""
        states = self._states
        for state in states:
            self.__dict__.update(state)
            _foot(self, self._report, self._mark, len(states))
            super().showPage()
        super().save()


def pdf_bytes(report: Report, stamp: Stamp | None = None) -> bytes:
    """The whole PDF; the same report gives the same bytes (no clock, no random identifier)."""
    out = io.BytesIO()
    paper = BaseDocTemplate(
        out,
        pagesize=style.PAGE,
        leftMargin=style.MARGIN,
        rightMargin=style.MARGIN,
        topMargin=18 * mm,
        bottomMargin=20 * mm,
        title=f"Privacy report: {report.document['report']['title']}",
        author="Cloister",
        subject=f"SHA-256 {report.digest}",
        lang="en",
        invariant=1,
    )
    frame = Frame(paper.leftMargin, paper.bottomMargin, paper.width, paper.height, 0, 0, 0, 0)
    paper.addPageTemplates([PageTemplate("page", [frame])])
    canvas = partial(Pages, report=report, mark=cover.mark(stamp))
    paper.build(list(_story(report, stamp)), canvasmaker=canvas)
    return out.getvalue()


def _story(report: Report, stamp: Stamp | None) -> Iterator[Flowable]:
    document = report.document
    yield from cover.story(document, stamp)
    for part in (spending.story, records.story, closing.story):
        yield from part(document)
    yield from closing.integrity(report, stamp)
    yield from closing.signatures(stamp)


def _foot(canvas: Canvas, report: Report, mark: str, pages: int) -> None:
    canvas.saveState()
    canvas.setFont(style.FONT, 7)
    canvas.setFillColor(style.QUIET)
    y = 11 * mm
    canvas.drawString(style.MARGIN, y, f"Cloister privacy report · SHA-256 {report.digest}")
    number = f"page {canvas.getPageNumber()} of {pages}"
    canvas.drawRightString(style.PAGE[0] - style.MARGIN, y, number)
    if mark:
        canvas.setFont(style.BOLD, 7.6)
        canvas.setFillColor(style.BAD)
        canvas.drawRightString(style.PAGE[0] - style.MARGIN, style.PAGE[1] - 11 * mm, mark)
    canvas.restoreState()
