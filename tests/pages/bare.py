"""Finds an ε that stands alone on a page: its δ, accountant, unit or scope is not beside it.

A figure in a sentence has its terms in the same sentence or cell, a column of figures has them in
the same section. What is looked at is the page as it was rendered, not its template.
"""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"br", "hr", "img", "input", "link", "meta", "use", "wbr", "col", "path", "source"}
HIDDEN = {"script", "style", "template", "title"}
BLOCKS = {"p", "li", "dd", "caption", "h1", "h2", "h3", "header", "th", "td"}
FIGURE = re.compile(r"ε\s*[=≤≥<>]\s*(\d|∞)")
ALONE = re.compile(r"\s*ε\s*[=≤≥<>]\s*[\d.∞]+\s*")  # in large type, its terms right below
NUMBER = re.compile(r"\s*(\d+(\.\d+)?|∞)")
TERMS = {
    "δ": re.compile(r"δ\s*="),
    "accountant": re.compile(r"accountant|\b(PLD|RDP|PRV)\b|one-run audit"),
    "unit": re.compile(r"\b(per|one|privacy unit:?) ?(row|patient)\b|For one |any unit"),
    "scope": re.compile(r"stud(y|ies)|lifetime|dataset|institution|site"),
}


@dataclass
class Element:
    tag: str
    parent: "Element | None"
    children: "list[Element | str]" = field(default_factory=list)

    def text(self) -> str:
        """As a reader has it, without what no browser shows."""
        if self.tag in HIDDEN:
            return ""
        parts = (c if isinstance(c, str) else c.text() for c in self.children)
        return re.sub(r"\s+", " ", " ".join(parts))

    def nearest(self, tags: set[str]) -> "Element":
        """Itself or the closest ancestor with one of these tags; else the whole page."""
        found = self
        while found.tag not in tags and found.parent is not None:
            found = found.parent
        return found

    def follower(self) -> str:
        """The text of the element right after it."""
        inner = [c for c in self.parent.children if isinstance(c, Element)] if self.parent else []
        return next((b.text() for a, b in pairwise(inner) if a is self), "")

    def all(self, tag: str) -> "list[Element]":
        """Every descendant with a tag, in order."""
        inner = [c for c in self.children if isinstance(c, Element)]
        return [e for c in inner for e in ([c] if c.tag == tag else []) + c.all(tag)]


class _Tree(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.root = self.at = Element("page", None)
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        made = Element(tag, self.at)
        self.at.children.append(made)
        if tag not in VOID:
            self.at = made

    def handle_endtag(self, tag: str) -> None:
        at = self.at
        while at.tag != tag and at.parent is not None:
            at = at.parent
        if at.parent is not None:  # an end without its beginning ends nothing
            self.at = at.parent

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)


def bare(html: str) -> list[str]:
    """Each ε without all of its terms, with what it lacks."""
    root = _Tree(html).root
    found = [_said(block) for block in _blocks(root) if FIGURE.search(_own(block))]
    found += [_column(table) for table in root.all("table")]
    return [fault for fault in found if fault]


def figures(html: str) -> int:
    """How many were looked at: a test that looks at none proves nothing."""
    root = _Tree(html).root
    return sum(bool(FIGURE.search(_own(b))) for b in _blocks(root)) + sum(
        bool(_epsilons(table)) for table in root.all("table")
    )


def _blocks(root: Element) -> list[Element]:
    return [element for tag in sorted(BLOCKS | {"div"}) for element in root.all(tag)]


def _own(block: Element) -> str:
    """Its text without that of blocks inside it."""
    parts = [
        child if isinstance(child, str) else "" if child.tag in BLOCKS | {"div"} else _own(child)
        for child in block.children
        if isinstance(child, str) or child.tag not in HIDDEN
    ]
    return re.sub(r"\s+", " ", " ".join(parts))


def _said(block: Element) -> str:
    """A figure in words: its terms stand in the same block, or in the row of the table it is in."""
    near = block.nearest({"tr", "section"}) if block.nearest({"td", "th"}).parent else block
    if block.nearest({"tr"}).parent is None:
        near = block.nearest({"header"} if block.nearest({"header"}).parent else BLOCKS)
    alone = ALONE.fullmatch(_own(block))
    return _lacking(near.text() + (near.follower() if alone else ""), _own(block))


def _column(table: Element) -> str:
    if not _epsilons(table):
        return ""
    return _lacking(table.nearest({"section"}).text(), " | ".join(_heads(table)))


def _heads(table: Element) -> list[str]:
    rows = [row for head in table.all("thead") for row in head.all("tr")]
    return [cell.text().strip() for row in rows[-1:] for cell in row.all("th")]


def _epsilons(table: Element) -> list[str]:
    """The numbers under a heading with ε."""
    columns = [place for place, head in enumerate(_heads(table)) if "ε" in head]
    rows = [row for body in table.all("tbody") for row in body.all("tr")]
    cells = [[c for c in row.children if isinstance(c, Element)] for row in rows]
    return [
        row[place].text()
        for row in cells
        for place in columns
        if place < len(row) and NUMBER.match(row[place].text())
    ]


def _lacking(text: str, what: str) -> str:
    lacks = [name for name, pattern in TERMS.items() if not pattern.search(text)]
    return f"{what.strip()[:160]!r} lacks {', '.join(lacks)}" if lacks else ""
