"""The PDF's building blocks: paragraphs, tables, lists; every text escaped here and only here."""

from collections.abc import Iterable, Sequence
from html import escape

from reportlab.platypus import Flowable, Paragraph, Table

from accounting.reports.pdf import style


def text(value: object, look: object = style.BODY) -> Paragraph:
    """A paragraph of plain text."""
    return Paragraph(escape(str(value)), look)


def bullets(lines: Iterable[object]) -> list[Flowable]:
    """A list of sentences."""
    return [Paragraph(f"<bullet>•</bullet>{escape(str(line))}", _BULLET) for line in lines]


def facts(pairs: Sequence[tuple[str, object]], first: float = 0.3) -> Table:
    """Two columns: what, and its value."""
    rows = [[text(name, style.HEAD), text(value, style.CELL)] for name, value in pairs]
    widths = (style.WIDTH * first, style.WIDTH * (1 - first))
    return Table(rows, colWidths=widths, style=style.FACTS, hAlign="LEFT")


def table(
    heads: Sequence[str], rows: Sequence[Sequence[object]], widths: Sequence[float], right: str = ""
) -> Table:
    """A table with a repeated head; `widths` are shares, `right` has an 'r' per right column."""
    sides = right.ljust(len(heads))
    looks = [style.HEAD_RIGHT if side == "r" else style.HEAD for side in sides]
    above = [text(head, look) for head, look in zip(heads, looks, strict=False)]
    below = [
        [
            text(cell, style.CELL_RIGHT if s == "r" else style.CELL)
            for cell, s in zip(row, sides, strict=False)
        ]
        for row in rows
    ]
    scale = style.WIDTH / sum(widths)
    return Table(
        [above, *below],
        colWidths=[width * scale for width in widths],
        style=style.TABLE,
        repeatRows=1,
        hAlign="LEFT",
    )


_BULLET = style.ParagraphStyle("bullet", style.BODY, leftIndent=12, bulletIndent=2, spaceAfter=2)
