"""The PDF's tables of record: mechanisms, releases, unprotected quantities, incidents."""

from collections.abc import Iterator
from typing import Any

from reportlab.platypus import CondPageBreak, Flowable, KeepTogether, Spacer

from accounting.reports import summary
from accounting.reports.pdf import style
from accounting.reports.pdf.blocks import bullets, table, text
from accounting.selectors import naming
from accounting.selectors.naming import Names

Document = dict[str, Any]
READABLE = 40  # releases and incidents; more are counted, and stand in the JSON
MOST_GROUPS = 160


def story(document: Document) -> Iterator[Flowable]:
    """What was done, what left, what went wrong."""
    for part in (_mechanisms, _releases, _incidents):
        yield from part(document)


def _mechanisms(document: Document) -> Iterator[Flowable]:
    rows, names = document["mechanisms"], naming.of_report(document)
    groups = summary.condensed(rows)
    if groups is None:
        yield from _begin("Mechanisms: one row per event")
        yield _each(rows, names)
    else:
        yield from _begin(f"Mechanisms: {len(rows)} events, equal ones together")
        yield _grouped(groups[:MOST_GROUPS], names)
        if len(groups) > MOST_GROUPS:
            more = len(groups) - MOST_GROUPS
            yield text(f"… and {more} more kinds of event; the CSV has every one.", style.SMALL)
    yield Spacer(1, 3)
    yield text(
        "Gaussian noise, standard deviation = noise multiplier × clip; Poisson sampling at rate "
        "q, or all rows at q = 1; the denominator is a public constant. ε after: the whole "
        "history of the study at that institution (PLD, rounded up), as stored in the entry; of "
        "what was not sealed beforehand an odometer, shown and not claimed. One row per event is "
        "in the CSV and the JSON.",
        style.SMALL,
    )


def _begin(heading: str) -> Iterator[Flowable]:
    """A heading before a long table, which starts here and goes on over the next pages.

    A heading that is kept with its table would take the whole table to a new page.
    """
    yield CondPageBreak(style.LEAST_BEFORE_BREAK)
    yield text(heading, style.SECTION_BEFORE_TABLE)


def _each(rows: list[dict[str, Any]], names: Names) -> Flowable:
    heads = ("Entry", "Institution", "Round", "Phase", "Noise", "q", "Steps", "Clip")
    heads += ("Denom.", "State", "ε after")
    cells = [
        (
            row["entry"],
            names.house(row["institution"]),
            f"{row['round']}.{row['attempt']}",
            row["phase"],
            *_numbers(row),
            row["state"],
            row["shown_after"],
        )
        for row in rows
    ]
    none = [("", "nothing yet", *[""] * 9)]
    return table(heads, cells or none, (7, 17, 8, 10, 9, 8, 7, 7, 9, 15, 11), "r r rrrrr r")


def _grouped(groups: list[summary.Group], names: Names) -> Flowable:
    heads = ("Where", "Rounds", "Phase", "Events", "Noise", "q", "Steps", "Clip")
    heads += ("Denom.", "State", "ε after")
    cells = [
        (
            names.house(group.where),
            group.rounds,
            group.like["phase"],
            group.events,
            *_numbers(group.like),
            group.states,
            group.shown_after,
        )
        for group in groups
    ]
    return table(heads, cells, (22, 10, 8, 7, 8, 6, 6, 5, 8, 15, 9), "   rrrrrr r")


def _numbers(row: dict[str, Any]) -> tuple[object, ...]:
    return (
        _short(row["noise_multiplier"]),
        _short(row["sample_rate"]),
        row["steps"],
        _short(row["max_grad_norm"]),
        _short(row["batch_denominator"]),
    )


def _short(value: Any) -> str:
    return "–" if value is None else f"{float(value):.5g}"


def _releases(document: Document) -> Iterator[Flowable]:
    left, names = document["releases"], naming.of_report(document)
    yield from _begin("What left the sites")
    many = len(left["released"]) > READABLE
    yield (_counted if many else _listed)(left["released"], names)
    yield Spacer(1, 3)
    yield text(f"Left without noise: {left['not_private']}.", style.SMALL)
    heading = text("Unprotected quantities, public by declaration", style.SECTION)
    yield KeepTogether([heading, *bullets(left["unprotected"])])


def _listed(rows: list[dict[str, Any]], names: Names) -> Flowable:
    heads = ("Entry", "Institution", "Round", "Phase", "SHA-256 of what left", "Model")
    cells = [
        (
            row["entry"],
            names.house(row["institution"]),
            row["round"],
            row["phase"],
            row["sha256"],
            _became(row),
        )
        for row in rows
    ]
    return table(heads, cells or [("", "nothing left", "", "", "", "")], (6, 12, 7, 8, 53, 15))


def _became(row: dict[str, Any]) -> str:
    """The model that it is in, shortened; else what happened to it."""
    in_model = not row["became_part_of"].startswith("no model")
    return row["became_part_of"][:12] if in_model else row["outcome"] or "no model"


def _counted(rows: list[dict[str, Any]], names: Names) -> Flowable:
    heads = ("Institution", "Study", "Releases", "Rounds", "First (UTC)", "Last (UTC)")
    cells = [
        (
            names.house(row["institution"]),
            names.study(row["study"]),
            row["count"],
            row["rounds"],
            row["from"].replace("T", " "),
            row["to"].replace("T", " "),
        )
        for row in summary.releases(rows)
    ]
    return table(heads, cells, (22, 27, 10, 9, 16, 16), "  r")


def _incidents(document: Document) -> Iterator[Flowable]:
    rows, names = document["incidents"], naming.of_report(document)
    yield text("Incidents, retries and overrides", style.SECTION)
    if not rows:
        yield text("None.")
        return
    if len(rows) > READABLE:
        yield text(f"{len(rows)} in all, equal ones together; the JSON has each.", style.SMALL)
        rows = summary.incidents(rows)
    heads = ("When (UTC)", "Where", "Round", "What", "Reason", "Approved by")
    cells = [
        (
            row["at"][:19].replace("T", " ") if "to" not in row["at"] else row["at"],
            names.house(row["institution"]),
            row["round"],
            row["what"],
            row["reason"],
            row["approved_by"],
        )
        for row in rows
    ]
    yield table(heads, cells, (17, 14, 10, 20, 24, 15))
