"""The PDF's end: audit, utility, limits, the integrity block with its QR code, signatures."""

from collections.abc import Iterator
from typing import Any

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, Spacer, Table

from accounting.reports import wording
from accounting.reports.build import Report
from accounting.reports.pdf import style
from accounting.reports.pdf.blocks import bullets, facts, table, text
from accounting.reports.pdf.drawings import qr_code
from accounting.reports.stamps import Stamp
from accounting.selectors import naming
from accounting.selectors.naming import Names

_CODE = 34 * mm
_WORDS = {
    "agreed": "told by their signed statements that they hold the same",
    "differs": "DIFFER, see incidents",
    "silent": "told nothing yet",
}


def story(document: dict[str, Any]) -> Iterator[Flowable]:
    """Audit and utility; what is not claimed."""
    yield from _audit(document["audit"], naming.of_report(document))
    yield text("Utility", style.SECTION)
    pairs = [(name.replace("_", " "), _flat(value)) for name, value in document["utility"].items()]
    yield facts(pairs)
    heading = text("What is not claimed", style.SECTION)
    yield KeepTogether([heading, *bullets(document["limits"])])


def _audit(audit: dict[str, Any], names: Names) -> Iterator[Flowable]:
    yield text("Empirical audit", style.SECTION)
    yield facts([("Method", audit["method"]), ("Meaning", audit["meaning"])])
    if not audit["runs"]:
        return
    yield Spacer(1, 6)
    heads = ("Institution", "Study", "Canaries", "Right of guesses", "Confidence", "Result")
    rows = [
        (
            who,
            names.study(run["study"]),
            run["canaries"],
            f"{run['correct']} of {run['guesses']}",
            run["confidence"],
            run["result"],
        )
        for who, run in _audited(audit, names)
    ]
    yield table(heads, rows, (16, 16, 9, 12, 11, 36), "  rrr")


def _audited(audit: dict[str, Any], names: Names) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each institution's run, and what all of them show as one."""
    for run in audit["runs"]:
        yield names.house(run["institution"]), run
    for run in audit.get("together", ()):  # a report of an earlier version has none
        yield f"all {len(run['institutions'])} together", run


def integrity(report: Report, stamp: Stamp | None) -> Iterator[Flowable]:
    """What binds the report to the ledger; the QR code carries the address, or the digest."""
    left = facts(_bonds(report, stamp))
    wide, narrow = style.WIDTH - _CODE, _CODE
    left._argW = [wide * 0.24, wide * 0.76]
    code = qr_code(stamp.address if stamp else report.digest, _CODE)
    told = "the address of this report at the hub" if stamp else "the SHA-256 of this report"
    side = Table([[code], [text(f"The code holds {told}.", style.SMALL)]], colWidths=[narrow])
    side.setStyle([("LEFTPADDING", (0, 0), (-1, -1), 4), ("TOPPADDING", (0, 0), (-1, -1), 0)])
    block = Table([[left, side]], colWidths=[wide, narrow])
    block.setStyle(_BARE)
    yield KeepTogether([text("Integrity", style.SECTION), block])


def signatures(stamp: Stamp | None) -> Iterator[Flowable]:
    """Who said what about this report, and when."""
    if stamp is None:
        return
    told: list[Flowable] = [text("Signatures", style.SECTION)]
    if stamp.signatures:
        rows = [
            (line.name, line.says, f"{line.at:%d %B %Y, %H:%M:%S} UTC") for line in stamp.signatures
        ]
        told.append(table(("Who", "What it means", "When"), rows, (30, 40, 30)))
        told.append(Spacer(1, 4))
    else:
        told.append(text("Nobody has signed this report yet."))
    told.append(
        text(
            "Each was given with the person's password and bears the hub's Ed25519 signature; both "
            "are in the download “With signatures”.",
            style.SMALL,
        )
    )
    yield KeepTogether(told)


def _bonds(report: Report, stamp: Stamp | None) -> list[tuple[str, object]]:
    bound = report.document["integrity"]
    head, seen = bound["ledger_head"], bound["witnesses"]
    sealed = [("Hub's signature", f"{stamp.signature} by key {stamp.key}")] if stamp else []
    return [
        ("SHA-256 of the JSON", report.digest),
        *sealed,
        ("Ledger entry", f"{head['entry']}, the last of {bound['entries_in_scope']} in scope"),
        ("Its digest", head["sha256"]),
        ("Merkle root there", head["root"]),
        ("Signed checkpoint", _checkpoint(bound)),
        (
            "Sites' journals",
            f"{seen['with_the_sites_own_journal_entry']} of {seen['charged_entries']} charged "
            f"entries name the site's own journal entry{_witnessed(seen['institutions'])}",
        ),
        ("Last verified", _flat(bound["last_verified"])),
        ("Verify with", ", or ".join(bound["verify_with"])),
    ]


def _witnessed(rows: list[dict[str, Any]]) -> str:
    """How many sites hold the same history, in words."""
    counts = {v: [r["institution"] for r in rows if r["verdict"] == v] for v in _WORDS}
    told = [f"{len(who)} {_WORDS[verdict]}" for verdict, who in counts.items() if who]
    return f"; {'; '.join(told)}" if told else ""


def _checkpoint(bound: dict[str, Any]) -> str:
    found = bound["checkpoint"]
    if isinstance(found, str):
        return found
    grown = bound["consistency"]
    proof = f"; proved to extend the {grown['from']} of the report before" if grown else ""
    return f"{found['size']} entries, root {found['root']}, signed {found['at'][:19]} UTC{proof}"


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{wording.metric(name)} {_flat(item)}" for name, item in value.items())
    text = str(value)
    return text[:6] if text.startswith(("0.", "1.")) else text


_BARE = [
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), 0),
    ("TOPPADDING", (0, 0), (-1, -1), 0),
]
