"""What a report must not leave out beside its figures: empirical audits, and what went wrong."""

from __future__ import annotations

import re
from typing import Any

from accounting.verifier.parts.reading import Wrong, decimal, pick
from accounting.verifier.parts.scopes import Scope

BOUND = re.compile(r"ε ≥ (\d+\.\d+) at δ = \S+ (below|above) the ledger's ε = (\d+\.\d+) at that δ")
MEASURED = ("method", "canaries", "guesses", "correct", "confidence", "lower")
WENT_WRONG = ("lost", "refused", "aborted")
THOUSANDTH = 1e-3 + 1e-9  # bounds for people have three places

Body = dict[str, Any]


def check_audits(section: Any, about: Scope) -> None:
    """Each run of which coins were bound is told, as the ledger has it. Raises Wrong."""
    runs = {row["committed"]["entry"]: row for row in pick(section, "runs", list)}
    together = {row["revealed"]["entry"]: row for row in section.get("together", [])}
    shown = {_audited_place(b): b for b in about.audits if b["kind"] == "revealed"}
    bound = [body for body in about.audits if body["kind"] == "committed"]
    as_one = [body for body in shown.values() if "institutions" in body]
    for body, told in [*((b, runs) for b in bound), *((b, together) for b in as_one)]:
        if body["sequence"] not in told:
            raise Wrong(f"it leaves out the audit of entry {body['sequence']}")
    if len(runs) > len(bound) or len(together) > len(as_one):
        raise Wrong("it tells of an audit that the ledger does not hold")
    for body in bound:
        _check_run(runs[body["sequence"]], body, shown.get(_audited_place(body)))
    for body in as_one:
        _check_same(together[body["sequence"]], body, ("study", "institutions"))
        _check_measured(together[body["sequence"]], body)


def _audited_place(body: Body) -> tuple[str, str, str]:
    return body["study"], body["institution"], body["protocol_digest"]


def _check_run(row: Any, committed: Body, revealed: Body | None) -> None:
    _check_same(row, committed, ("study", "institution", "commitment"))
    if revealed is not None:
        if (row.get("revealed") or {}).get("entry") != revealed["sequence"]:
            raise Wrong(f"it leaves out that entry {revealed['sequence']} showed the coins")
        _check_measured(row, revealed)
    elif row.get("revealed") is not None or BOUND.search(pick(row, "result", str)):
        raise Wrong(f"it tells what the coins of entry {committed['sequence']} showed: nothing yet")


def _check_measured(row: Any, revealed: Body) -> None:
    """The numbers are the ledger's, and the sentence says which of them is the larger."""
    found, number = revealed["result"], revealed["sequence"]
    told = {**found, **{name: found["figure"][name] for name in ("delta", "epsilon")}}
    _check_same(row, {**told, "sequence": number}, (*MEASURED, "delta", "epsilon"))
    lower, epsilon = decimal(row, "lower"), decimal(row, "epsilon")
    said = BOUND.findall(pick(row, "result", str).replace(",", ""))
    refuted = row["result"].startswith("REFUTED: ")
    if len(said) != 1 or refuted != (lower > epsilon) or (said[0][1] == "above") != refuted:
        raise Wrong(f"it says otherwise than entry {number} what its audit came to")
    if not 0.0 <= lower - float(said[0][0]) <= THOUSANDTH:
        raise Wrong(f"of the audit of entry {number} it shows ε ≥ {said[0][0]}, not {lower:g}")
    if not 0.0 <= float(said[0][2]) - epsilon <= THOUSANDTH:
        raise Wrong(f"of the audit of entry {number} it shows ε = {said[0][2]}, not {epsilon:g}")


def _check_same(row: Any, body: Body, names: tuple[str, ...]) -> None:
    for name in names:
        if row.get(name) != body[name]:
            said = f"{str(row.get(name))[:80]}, not {str(body[name])[:80]}"
            raise Wrong(f"of the audit of entry {body['sequence']} it says {name} = {said}")


def check_incidents(section: list[Any], about: Scope) -> None:
    """Everything lost, refused, returned, booked or tried again is told, and why. Raises Wrong."""
    told = {(row.get("source"), row.get("reason")) for row in section}
    for body in about.rows:
        number, wrong = body["sequence"], body["kind"] in WENT_WRONG
        booked = body["kind"] == "booked" and "event" in body
        again = body["kind"] == "reserved" and body["attempt"] > 1
        reason = body.get("reason", "") if wrong or booked else ""
        if (wrong or booked or again) and (f"ledger entry {number}", reason) not in told:
            raise Wrong(f"among what went wrong it leaves out entry {number}, or why it did")
