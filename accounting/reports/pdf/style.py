"""How the PDF looks: page, fonts that carry ε and δ, colours, paragraph and table styles."""

from pathlib import Path

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import TableStyle

FONT, BOLD = "DejaVuCondensed", "DejaVuCondensed-Bold"
_FOLDER = Path(__file__).parent.parent / "fonts"
pdfmetrics.registerFont(TTFont(FONT, str(_FOLDER / "DejaVuSansCondensed.ttf")))
pdfmetrics.registerFont(TTFont(BOLD, str(_FOLDER / "DejaVuSansCondensed-Bold.ttf")))
pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)

PAGE = A4
MARGIN = 20 * mm
WIDTH = A4[0] - 2 * MARGIN
INK = colors.HexColor("#1d2b2e")
QUIET = colors.HexColor("#566366")
GARTH = colors.HexColor("#1f5d57")
LINE = colors.HexColor("#d8d2c4")
SUNK = colors.HexColor("#f4f1ea")
BAD = colors.HexColor("#9c2f27")
# Okabe and Ito's palette, told apart by people with any colour vision.
SERIES = tuple(
    colors.HexColor(c)
    for c in ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
)

BODY = ParagraphStyle("body", fontName=FONT, fontSize=9.2, leading=13.2, textColor=INK)
SMALL = ParagraphStyle("small", BODY, fontSize=7.6, leading=10.4, textColor=QUIET)
CELL = ParagraphStyle("cell", BODY, fontSize=7.6, leading=9.8)
CELL_RIGHT = ParagraphStyle("cell-right", CELL, alignment=2)
HEAD = ParagraphStyle("head", CELL, fontName=BOLD, textColor=QUIET)
HEAD_RIGHT = ParagraphStyle("head-right", HEAD, alignment=2)
TITLE = ParagraphStyle(
    "title", BODY, fontName=BOLD, fontSize=21, leading=26, spaceBefore=2, spaceAfter=5
)
KICKER = ParagraphStyle("kicker", BODY, fontName=BOLD, fontSize=8.6, textColor=GARTH)
SECTION = ParagraphStyle(
    "section",
    BODY,
    fontName=BOLD,
    fontSize=12.5,
    leading=16,
    spaceBefore=14,
    spaceAfter=5,
    keepWithNext=1,
)
SECTION_BEFORE_TABLE = ParagraphStyle("section-before-table", SECTION, keepWithNext=0)
LEAST_BEFORE_BREAK = 45 * mm  # a heading and five rows
STATEMENT = ParagraphStyle(
    "statement",
    BODY,
    fontSize=11,
    leading=16.5,
    backColor=SUNK,
    borderColor=GARTH,
    borderPadding=(9, 11, 10, 11),
    leftIndent=11,
    rightIndent=11,
    spaceBefore=12,
    spaceAfter=14,
)
TABLE = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, GARTH),
        ("LINEBELOW", (0, 1), (-1, -1), 0.3, LINE),
        ("TOPPADDING", (0, 0), (-1, -1), 2.6),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
        ("LEFTPADDING", (0, 0), (-1, -1), 3),
        ("RIGHTPADDING", (0, 0), (-1, -1), 3),
    ]
)
FACTS = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.3, LINE),
        ("TOPPADDING", (0, 0), (-1, -1), 2.6),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
        ("LEFTPADDING", (0, 0), (0, -1), 0),
    ]
)
