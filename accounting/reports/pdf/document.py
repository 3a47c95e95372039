"""Laying the report out: cover statement, figures, burn-down, mechanisms, integrity."""

import io
from collections.abc import Iterator
from typing import Any

from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Spacer,
    Table,
)

from accounting.charts import together
from accounting.reports.build import Report
from accounting.reports.pdf import style
from accounting.reports.pdf.blocks import bullets, facts, table, text
from accounting.reports.pdf.drawings import burn_down, qr_code


def pdf_bytes(report: Report) -> bytes:
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

    def foot(canvas: Canvas, _paper: BaseDocTemplate) -> None:
        _foot(canvas, report)

    paper.addPageTemplates([PageTemplate("page", [frame], onPage=foot)])
    paper.build(list(_story(report)))
    return out.getvalue()


def _story(report: Report) -> Iterator[Flowable]:
    document = report.document
    for part in (_cover, _spent, _curve, _parameters, _mechanisms, _releases, _incidents, _rest):
        yield from part(document)
    yield from _integrity(report)


def _cover(document: dict[str, Any]) -> Iterator[Flowable]:
    head = document["report"]
    yield text("PRIVACY REPORT", style.KICKER)
    yield text(head["title"], style.TITLE)
    period = head["period"]
    yield text(
        f"Scope: {head['scope']['words']}. From {period['from'][:19]} to {period['to'][:19]} UTC. "
        f"Report {head['id']}.",
        style.SMALL,
    )
    for line in document["statement"]:
        yield text(line["sentence"], style.STATEMENT)
    yield text(
        f"Trust model: {document['trust_model']['how_it_ran']}. It holds if: "
        + "; ".join(document["trust_model"]["assumptions"])
        + "."
    )


def _spent(document: dict[str, Any]) -> Iterator[Flowable]:
    spent = document["parameters"]
    yield text("What was spent", style.SECTION)
    rows = [
        (
            site["name"],
            site["spent"]["shown"],
            site["second_opinion"]["shown"],
            site["budget"],
            site["remaining"],
            f"{site['attacker_percent_sure']} %",
        )
        for site in spent["institutions"]
    ]
    heads = ("Institution", "ε (PLD)", "ε (RDP)", "Budget ε", "Left", "Attacker, from 50 %")
    yield table(heads, rows, (34, 11, 11, 12, 12, 20), " rrrrr")
    yield Spacer(1, 5)
    yield text(
        f"All at δ = {spent['delta']}, {spent['neighbouring']}, unit: {spent['unit']} (at most "
        f"{spent['max_rows_per_unit']} rows each), this study only. ε is rounded up, what is left "
        "is rounded down. PLD is the figure; RDP is a second, looser upper bound beside it.",
        style.SMALL,
    )
    worst = max(
        spent["institutions"], key=lambda site: float(site["spent"]["epsilon"]), default=None
    )
    if worst:
        yield Spacer(1, 4)
        yield text(f"In plain words: {worst['reading']}")
    if len(spent["institutions"]) < 2:
        return
    both = spent["across_institutions"]["if_a_person_may_be_at_all"]
    yield text(
        f"Should the same person's data lie at every institution: ε = {both['shown']} "
        f"({both['accountant'].upper()}, δ = {both['delta']}). Disjoint patients attested by: "
        f"{spent['across_institutions']['attested_by']}."
    )


def _curve(document: dict[str, Any]) -> Iterator[Flowable]:
    names = {site["institution"]: site["name"] for site in document["parameters"]["institutions"]}
    series: dict[str, dict[float, float]] = {}
    for row in document["mechanisms"]:
        if row["counted"]:
            points = series.setdefault(names[row["institution"]], {})
            points[float(row["round"])] = float(row["epsilon_after"])
    if not series:
        return
    budgets = [_budget(site) for site in document["parameters"]["institutions"]]
    known = [budget for budget in budgets if budget is not None]
    last = int(max(number for points in series.values() for number in points))
    lines = _merged({name: sorted(points.items()) for name, points in series.items()})
    chart = burn_down(lines, min(known) if known else None, last)
    caption = "ε composed after each round (PLD), per institution, as the ledger recorded it."
    yield KeepTogether([text("How it was spent", style.SECTION), chart, text(caption, style.SMALL)])


def _merged(lines: dict[str, list[tuple[float, float]]]) -> dict[str, list[tuple[float, float]]]:
    """Institutions with the same curve share one line, which would hide the others anyway."""
    names: dict[tuple[tuple[float, float], ...], list[str]] = {}
    for name, points in lines.items():
        names.setdefault(tuple(points), []).append(name)
    return {together(who): list(points) for points, who in names.items()}


def _budget(site: dict[str, Any]) -> float | None:
    try:
        return float(site["budget"])
    except ValueError:
        return None


def _parameters(document: dict[str, Any]) -> Iterator[Flowable]:
    spent, how = document["parameters"], document["accounting"]
    yield text("Parameters and accounting", style.SECTION)
    yield facts(
        [
            ("Privacy unit", f"{spent['unit']}, at most {spent['max_rows_per_unit']} rows each"),
            ("Neighbouring relation", spent["neighbouring"]),
            ("δ", f"{spent['delta']} ({spent['delta_rule']})"),
            ("Target ε", spent["target_epsilon"]),
            ("Accountant", f"{how['accountant'].upper()}: {how['version']}"),
            ("Discretisation", how["discretisation"]),
            ("Second opinion", how["second_opinion"]),
            ("Parameters", how["parameters"]),
            ("Across rounds", how["across_rounds"]),
            ("Across studies", how["across_studies"]),
            ("Tuning", how["tuning"]),
        ]
    )
    heads = ("The same history at δ =", *(row["delta"] for row in _deltas(spent)))
    rows = [
        (site["name"], *(row["shown"] for row in site["other_deltas"]))
        for site in spent["institutions"]
    ]
    yield Spacer(1, 8)
    yield table(heads, rows, (40, *[10] * (len(heads) - 1)), " " + "r" * 6)
    if isinstance(spent["lifetime"], list):
        yield text("Lifetime budgets of this institution", style.SECTION)
        heads = ("Dataset lineage", "Budget ε", "δ", "Spent, all studies", "Left", "Accountant")
        keys = ("lineage", "budget", "delta", "spent", "remaining", "accountant")
        rows = [tuple(row[key] for key in keys) for row in spent["lifetime"]]
        yield table(heads, rows, (30, 14, 14, 18, 12, 12), " rrrr")


def _deltas(spent: dict[str, Any]) -> list[dict[str, str]]:
    return spent["institutions"][0]["other_deltas"] if spent["institutions"] else []


def _mechanisms(document: dict[str, Any]) -> Iterator[Flowable]:
    yield text("Mechanisms: one row per event", style.SECTION)
    heads = ("Entry", "Institution", "Round", "Phase", "Noise", "q", "Steps", "Clip")
    heads += ("Denom.", "State", "ε after")
    rows = [
        (
            row["entry"],
            row["institution"],
            f"{row['round']}.{row['attempt']}",
            row["phase"],
            _short(row["noise_multiplier"]),
            _short(row["sample_rate"]),
            row["steps"],
            _short(row["max_grad_norm"]),
            _short(row["batch_denominator"]),
            row["state"],
            row["shown_after"],
        )
        for row in document["mechanisms"]
    ]
    yield table(heads, rows, (7, 17, 8, 10, 9, 8, 7, 7, 9, 15, 11), "r r rrrrr r")
    yield Spacer(1, 3)
    yield text(
        "Gaussian noise, standard deviation = noise multiplier × clip; Poisson sampling at rate "
        "q, or all rows at q = 1; the denominator is a public constant. ε after: the whole "
        "history of the study at that institution (PLD, rounded up), as stored in the entry.",
        style.SMALL,
    )


def _short(value: Any) -> str:
    return "–" if value is None else f"{float(value):.5g}"


def _releases(document: dict[str, Any]) -> Iterator[Flowable]:
    left = document["releases"]
    yield text("What left the sites", style.SECTION)
    rows = [
        (
            r["entry"],
            r["institution"],
            r["round"],
            r["phase"],
            r["sha256"],
            r["became_part_of"][:12],
        )
        for r in left["released"]
    ]
    heads = ("Entry", "Institution", "Round", "Phase", "SHA-256 of what left", "Model")
    yield table(heads, rows or [("", "nothing left yet", "", "", "", "")], (6, 13, 7, 9, 52, 14))
    yield text("Unprotected quantities, public by declaration", style.SECTION)
    yield from bullets(left["unprotected"])


def _incidents(document: dict[str, Any]) -> Iterator[Flowable]:
    yield text("Incidents, retries and overrides", style.SECTION)
    if not document["incidents"]:
        yield text("None.")
        return
    heads = ("When (UTC)", "Where", "Round", "What", "Reason", "Approved by")
    rows = [
        (i["at"][:19], i["institution"], i["round"], i["what"], i["reason"], i["approved_by"])
        for i in document["incidents"]
    ]
    yield table(heads, rows, (17, 14, 10, 20, 24, 15))


def _rest(document: dict[str, Any]) -> Iterator[Flowable]:
    yield text("Utility and audit", style.SECTION)
    pairs = [(name.replace("_", " "), _flat(value)) for name, value in document["utility"].items()]
    audit = document["audit"]
    yield facts([*pairs, ("Empirical audit", f"{audit['method']}: {audit['meaning']}")])
    yield text("What is not claimed", style.SECTION)
    yield from bullets(document["limits"])


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_flat(item)}" for name, item in value.items())
    text = str(value)
    return text[:6] if text.startswith(("0.", "1.")) else text


def _integrity(report: Report) -> Iterator[Flowable]:
    bound = report.document["integrity"]
    seen = bound["witnesses"]
    left = facts(
        [
            ("SHA-256 of the JSON report", report.digest),
            ("Ledger entry", f"{bound['ledger_head']['entry']} (the last about this scope)"),
            ("Its digest", bound["ledger_head"]["sha256"]),
            ("Entries in scope", bound["entries_in_scope"]),
            (
                "Sites' own journals",
                f"{seen['with_the_sites_own_journal_entry']} of {seen['charged_entries']} charged "
                "entries name the site's own journal entry",
            ),
            ("Last verified", _flat(bound["last_verified"])),
            ("Verify with", bound["verify_with"]),
            ("Signatures", report.document["report"]["signers"]),
        ]
    )
    code = qr_code(report.digest, 30 * mm)
    left._argW = [style.WIDTH * 0.2, style.WIDTH * 0.6]
    block = Table([[left, code]], colWidths=[style.WIDTH * 0.8, style.WIDTH * 0.2])
    block.setStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (0, 0), 0)])
    yield KeepTogether([text("Integrity", style.SECTION), block])


def _foot(canvas: Canvas, report: Report) -> None:
    canvas.saveState()
    canvas.setFont(style.FONT, 7)
    canvas.setFillColor(style.QUIET)
    y = 11 * mm
    canvas.drawString(style.MARGIN, y, f"Cloister privacy report · SHA-256 {report.digest}")
    canvas.drawRightString(style.PAGE[0] - style.MARGIN, y, f"page {canvas.getPageNumber()}")
    canvas.restoreState()
