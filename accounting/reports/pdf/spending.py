"""The PDF's figures: what was spent, the burn-down, parameters and accounting, budgets."""

from collections.abc import Iterator
from typing import Any

from reportlab.platypus import Flowable, KeepTogether, Spacer

from accounting.charts import budget_name, together
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
    heads = ("Institution" if document["report"]["study"] else "Dataset", *before, "ε claimed")
    heads += ("Certified", "≤ (RDP)", "Budget ε", "Left", "Attacker, from 50 %")
    widths = (27, *[9 for _ in before], 10, 17, 10, 10, 10, 13)
    rows = [_row(document, part) for part in parts]
    yield table(heads, rows, widths, " " + "r" * (len(heads) - 1))
    yield Spacer(1, 5)
    yield text(_terms(document), style.SMALL)
    for part in parts:
        if part["odometer"]:
            yield text(_odometer(document, part), style.SMALL)


def _odometer(document: Document, part: dict[str, Any]) -> str:
    spent = part["spent"]
    return (
        f"{name(document, part)}: chosen on the way, so what is claimed is the bound of the RDP "
        f"filter. ε = {spent['shown']} at δ = {spent['delta']} ({spent['accountant'].upper()}, "
        f"{wording.unit_name(spent['unit'])}) {part['odometer']}."
    )


def _row(document: Document, part: dict[str, Any]) -> tuple[object, ...]:
    before = (part["before"]["shown"],) if part["before"] else ()
    found = part["certified"]
    certified = found["shown"] if isinstance(found, dict) else "once issued"
    certified = "–" if part["odometer"] else certified
    return (
        name(document, part),
        *before,
        part["claimed"]["shown"],
        certified,
        part["second_opinion"]["shown"] if part["second_opinion"] else "–",
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
        f"rounded up, what is left is rounded down. ε is by {_accountants(spent)}; Certified is "
        "an interval by a second code base (PRV), ≤ a looser upper bound (RDP)."
    )


def _accountants(spent: dict[str, Any]) -> str:
    names = sorted({part["claimed"]["accountant"].upper() for part in spent["institutions"]})
    return " or, where chosen on the way, ".join(names)


def _across(document: Document) -> Iterator[Flowable]:
    for group in document["parameters"]["across_institutions"]:
        if len(group["parts"]) > 1:
            yield Spacer(1, 4)
            yield text(_both(group))


def _both(group: dict[str, Any]) -> str:
    one, both = group["if_no_person_is_at_two"], group["if_a_person_may_be_at_all"]
    unit = wording.unit_name(group["unit"])
    said = "the first" if group["claimed"] == "if_no_person_is_at_two" else "the second"
    said = f"neither (the second is an {group['odometer']})" if group.get("odometer") else said
    return (
        f"Per {unit.removeprefix('one ')}, at δ = {group['delta']}: if nobody's data lies in two "
        f"of them, ε = {one['shown']} ({one['accountant'].upper()}); should the same person's "
        f"data lie in all, ε = {both['shown']} ({both['accountant'].upper()}). Claimed is {said}: "
        f"disjoint patients attested by {_attested(group['attested_by'])}."
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
    chart = burn_down(
        _merged(series), min(budgets, default=None), last, over, label=budget_name(budgets)
    )
    caption = (
        "ε composed after each round, per institution, by the accountant of the table above."
        if over == "round"
        else "ε composed after each event, by the accountant of the table above."
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
        (
            name(document, part),
            names.study(row["study"]),
            row["shown"],
            row["delta"],
            row["accountant"].upper(),
            row["unit"],
        )
        for part in parts
        for row in part["by_study"]
    ]
    heads = ("Dataset", "Study", "ε", "δ", "Accountant", "Per")
    yield table(heads, rows, (30, 32, 9, 9, 13, 10), "  rr")
    yield Spacer(1, 3)
    odometer = next((r["odometer"] for p in parts for r in p["by_study"] if r["odometer"]), "")
    yield text(
        "Composed they cost what the first table says, never their sum."
        + (f" Each is {odometer}." if odometer else ""),
        style.SMALL,
    )


def _lifetimes(document: Document) -> Iterator[Flowable]:
    rows = document["parameters"]["lifetime"]
    if isinstance(rows, str) or not rows:
        return
    yield text("Lifetime budgets of this institution", style.SECTION)
    heads = ("Dataset lineage", "Budget ε", "δ", "Spent, all studies", "Left", "Accountant", "Per")
    keys = ("lineage", "budget", "delta", "spent", "remaining", "accountant", "unit")
    found = [tuple(row[key] for key in keys) for row in rows]
    yield table(heads, found, (26, 13, 13, 17, 11, 11, 9), " rrrr")
    for row in rows:
        if row["odometer"]:
            yield text(f"{row['lineage']}: {row['odometer']}.", style.SMALL)


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
