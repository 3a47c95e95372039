"""The PDF's figures: what was spent, the burn-down, parameters and accounting, budgets."""

from collections.abc import Iterator
from typing import Any

from reportlab.platypus import Flowable, KeepTogether, Spacer

from accounting.charts import together
from accounting.reports import wording
from accounting.reports.pdf import style
from accounting.reports.pdf.blocks import facts, table, text
from accounting.reports.pdf.drawings import burn_down
from accounting.selectors import naming

Document = dict[str, Any]
MANY = 4  # equal rows that are named together, not one by one


def story(document: Document) -> Iterator[Flowable]:
    """Everything that is a number about ε."""
    for part in (_spent, _across, _curve, _parameters, _deltas, _by_study, _lifetimes, _budgets):
        yield from part(document)


def name(document: Document, part: dict[str, Any]) -> str:
    """How a part is called: an institution in a study, else a dataset."""
    if document["report"]["study"]:
        return part["name"]
    return f"{part['lineage']}, {part['name']}"


def _spent(document: Document) -> Iterator[Flowable]:
    parts = document["parameters"]["institutions"]
    yield text("What was spent", style.SECTION)
    if not parts:
        yield text("Nothing was spent in this scope.")
        return
    before = ("Before",) if parts[0]["before"] else ()
    heads = ("Institution" if document["report"]["study"] else "Dataset", *before, "ε (PLD)")
    heads += ("Certified", "≤ (RDP)", "Budget ε", "Left", "Attacker, from 50 %")
    widths = (27, *[9 for _ in before], 10, 17, 10, 10, 10, 13)
    rows = [_row(document, part) for part in parts]
    yield table(heads, rows, widths, " " + "r" * (len(heads) - 1))
    yield Spacer(1, 5)
    yield text(_terms(document), style.SMALL)
    claimed = [p for p in parts if p["odometer"]]
    if claimed:
        told = "; ".join(f"{name(document, p)}: ε = {p['odometer']['shown']}" for p in claimed)
        yield text(f"Chosen on the way, so claimed by the RDP filter: {told}.")


def _row(document: Document, part: dict[str, Any]) -> tuple[object, ...]:
    before = (part["before"]["shown"],) if part["before"] else ()
    found = part["certified"]
    certified = found["shown"] if isinstance(found, dict) else "once issued"
    return (
        name(document, part),
        *before,
        part["spent"]["shown"],
        certified,
        part["second_opinion"]["shown"],
        part["budget"],
        part["remaining"],
        f"{part['attacker_percent_sure']} %",
    )


def _terms(document: Document) -> str:
    spent = document["parameters"]
    deltas = sorted({part["spent"]["delta"] for part in spent["institutions"]})
    what = "this study only" if document["report"]["study"] else "all studies"
    return (
        f"At δ = {', '.join(deltas)}, {spent['neighbouring']}, unit: "
        f"{wording.unit_with_cap(spent['unit'], spent['max_rows_per_unit'])}; {what}. ε is "
        "rounded up, what is left is rounded down. PLD is the figure; Certified is an interval "
        "by a second code base (PRV), ≤ a looser upper bound (RDP)."
    )


def _across(document: Document) -> Iterator[Flowable]:
    parts = document["parameters"]["institutions"]
    if len(parts) < 2:
        return
    across = document["parameters"]["across_institutions"]
    one, both = across["if_no_person_is_at_two"], across["if_a_person_may_be_at_all"]
    yield Spacer(1, 4)
    if isinstance(both, str) or isinstance(one, str):
        yield text(f"Over all: {both}.")
        return
    yield text(
        f"If no person's data lies in two of them: ε = {one['shown']}. Should the same person's "
        f"data lie in all: ε = {both['shown']} ({both['accountant'].upper()}, δ = "
        f"{both['delta']}). Disjoint patients attested by: {_attested(across['attested_by'])}."
    )


def _attested(found: Any) -> str:
    if isinstance(found, str):
        return found
    return "; ".join(
        f"{row['name']} ({row['at'][:10]}): {row['text'].rstrip('.')}" for row in found
    )


def _curve(document: Document) -> Iterator[Flowable]:
    parts = [part for part in document["parameters"]["institutions"] if part["curve"]["points"]]
    if not parts:
        return
    series = {
        name(document, part): [(float(x), float(y)) for x, y in part["curve"]["points"]]
        for part in parts
    }
    budgets = [float(part["budget"]) for part in parts if part["budget"][:1].isdigit()]
    last = int(max(x for points in series.values() for x, _ in points))
    over = parts[0]["curve"]["over"]
    chart = burn_down(_merged(series), min(budgets, default=None), last, over)
    caption = (
        "ε composed after each round (PLD), per institution, as the ledger recorded it."
        if over == "round"
        else "ε composed after each event (PLD), per dataset, over all its studies."
    )
    yield KeepTogether([text("How it was spent", style.SECTION), chart, text(caption, style.SMALL)])


def _merged(lines: dict[str, list[tuple[float, float]]]) -> dict[str, list[tuple[float, float]]]:
    """Parts with the same curve share one line, which would hide the others anyway."""
    names: dict[tuple[tuple[float, float], ...], list[str]] = {}
    for who, points in lines.items():
        names.setdefault(tuple(points), []).append(who)
    return {together(who): list(points) for points, who in names.items()}


def _parameters(document: Document) -> Iterator[Flowable]:
    spent, how = document["parameters"], document["accounting"]
    yield text("Parameters and accounting", style.SECTION)
    yield facts(
        [
            ("Privacy unit", wording.unit_with_cap(spent["unit"], spent["max_rows_per_unit"])),
            ("Neighbouring relation", spent["neighbouring"]),
            ("δ", f"{spent['delta']} ({spent['delta_rule']})"),
            ("Target ε", spent["target_epsilon"]),
            ("Committed", _committed(document)),
            ("Returned", _returned(document)),
            ("Accountant", f"{how['accountant'].upper()}: {how['version']}"),
            ("Discretisation", how["discretisation"]),
            ("Second opinion", how["second_opinion"]),
            ("Parameters", how["parameters"]),
            ("The gate", how["gate"]),
            ("Across rounds", how["across_rounds"]),
            ("Across studies", how["across_studies"]),
            ("Tuning", how["tuning"]),
        ]
    )
    yield Spacer(1, 8)


def _committed(document: Document) -> str:
    plans = sorted({part["committed"] for part in document["parameters"]["institutions"]})
    what = "the whole sealed plan"
    if not document["report"]["study"]:
        what = "spent and promised together, all studies"
    return f"{what}: ε = {', '.join(plans)}" if plans else "nothing"


def _returned(document: Document) -> str:
    """What was sealed and given back, counted: the JSON has each row."""
    rows = [row for part in document["parameters"]["institutions"] for row in part["returned"]]
    return wording.given_back(sum(row["steps"] for row in rows), len(rows))


def _deltas(document: Document) -> Iterator[Flowable]:
    parts = document["parameters"]["institutions"]
    if not parts:
        return
    heads = ("The same history at δ =", *(row["delta"] for row in parts[0]["other_deltas"]))
    alike: dict[tuple[str, ...], list[str]] = {}
    for part in parts:
        shown = tuple(row["shown"] for row in part["other_deltas"])
        alike.setdefault(shown, []).append(name(document, part))
    rows = [(_named(names), *shown) for shown, names in alike.items()]
    yield table(heads, rows, (40, *[10] * (len(heads) - 1)), " " + "r" * 6)


def _named(names: list[str]) -> str:
    return ", ".join(names) if len(names) < MANY else together(names)


def _by_study(document: Document) -> Iterator[Flowable]:
    parts = [part for part in document["parameters"]["institutions"] if part["by_study"]]
    if not parts:
        return
    yield text("By study", style.SECTION)
    names = naming.of_report(document)
    rows = [
        (name(document, part), names.study(row["study"]), row["shown"], row["delta"])
        for part in parts
        for row in part["by_study"]
    ]
    yield table(("Dataset", "Study", "ε (PLD)", "δ"), rows, (40, 40, 12, 12), "  rr")
    yield Spacer(1, 3)
    yield text("Composed they cost what the first table says, never their sum.", style.SMALL)


def _lifetimes(document: Document) -> Iterator[Flowable]:
    rows = document["parameters"]["lifetime"]
    if isinstance(rows, str) or not rows:
        return
    yield text("Lifetime budgets of this institution", style.SECTION)
    heads = ("Dataset lineage", "Budget ε", "δ", "Spent, all studies", "Left", "Accountant")
    keys = ("lineage", "budget", "delta", "spent", "remaining", "accountant")
    found = [tuple(row[key] for key in keys) for row in rows]
    yield table(heads, found, (30, 14, 14, 18, 12, 12), " rrrr")


def _budgets(document: Document) -> Iterator[Flowable]:
    rows = document["parameters"]["budget_history"]
    if not rows:
        return
    yield text("How the lifetime budgets came to be", style.SECTION)
    names = naming.of_report(document)
    heads = ("When", "Dataset", "What", "ε", "Reason", "Approved by")
    found = [
        (
            row["at"][:10],
            f"{row['lineage']}, {names.house(row['institution'])}",
            row["what"],
            row["epsilon"],
            row["reason"],
            row["approved_by"],
        )
        for row in rows
    ]
    yield table(heads, found, (11, 24, 10, 8, 27, 20), "   r")
