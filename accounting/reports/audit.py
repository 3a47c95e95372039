"""Section 9 of the report: the empirical lower bound, from the coins that the ledger holds."""

from typing import Any

from accounting.models import EntryKind
from accounting.reports.parts import Material
from accounting.reports.trail import Body
from accounting.selectors import shown

NOT_RUN = "no empirical lower bound was measured in this scope"
MEANING = (
    "Synthetic canaries were in or out of training by coins that the site committed to in the "
    "ledger before round 1 and revealed after the last; how well they are told apart proves that ε "
    "is at least the lower bound. It catches gross faults; a low bound proves nothing."
)
WAITING = "committed, not revealed yet"


def section(material: Material) -> dict[str, Any]:
    """The method, each institution's run and what all show as one.

    "not run" where no coins were committed.
    """
    every = material.trail.rows(EntryKind.REVEALED)
    revealed = {_place(body): body for body in every}
    committed = material.trail.rows(EntryKind.COMMITTED)
    runs = [_run(body, revealed.get(_place(body)), _unit(material, body)) for body in committed]
    done = [run for run in runs if run["result"] != WAITING]
    return {
        "method": done[0]["method"] if done else WAITING if runs else "not run",
        "meaning": MEANING if runs else NOT_RUN,
        "runs": runs,
        "together": [
            _together(body, _unit(material, body)) for body in every if "institutions" in body
        ],
    }


def _place(body: Body) -> tuple[str, str, str]:
    return body["study"], body["institution"], body["protocol_digest"]


def _unit(material: Material, body: Body) -> str:
    protocol = material.protocols.get(body["study"])
    return f"per {protocol.data.unit}" if protocol else "of a study that is gone"


def _run(committed: Body, revealed: Body | None, unit: str) -> dict[str, Any]:
    found = revealed["result"] if revealed else {}
    return {
        "study": committed["study"],
        "institution": committed["institution"],
        "committed": {"entry": committed["sequence"], "at": committed["at"]},
        "commitment": committed["commitment"],
        "revealed": {"entry": revealed["sequence"], "at": revealed["at"]} if revealed else None,
        **_measured(found),
        "result": _result(found, f"{unit}, this study at that institution") if found else WAITING,
    }


def _together(revealed: Body, unit: str) -> dict[str, Any]:
    """One run of all canaries, held against the largest ε of the institutions."""
    found, scope = revealed["result"], f"{unit}, this study at the institution that spent most"
    return {
        "study": revealed["study"],
        "institutions": revealed["institutions"],
        "revealed": {"entry": revealed["sequence"], "at": revealed["at"]},
        **_measured(found),
        "result": _result(found, scope),
    }


def _measured(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "method": found.get("method", ""),
        "canaries": found.get("canaries", 0),
        "guesses": found.get("guesses", 0),
        "correct": found.get("correct", 0),
        "confidence": found.get("confidence", ""),
        "lower": found.get("lower", ""),
        "delta": found["figure"]["delta"] if found else "",
        "epsilon": found["figure"]["epsilon"] if found else "",
    }


def _result(found: dict[str, Any], scope: str) -> str:
    figure, lower = found["figure"], float(found["lower"])
    epsilon = float(figure["epsilon"])
    words = f"ε ≥ {shown.down(lower)} at δ = {float(figure['delta']):g}"
    derived = (
        f"the ledger's ε = {shown.up(epsilon)} at that δ ({figure['accountant'].upper()} "
        f"accountant, {scope})"
    )
    if lower > epsilon:
        return f"REFUTED: {words}, above {derived}; do not use the model"
    return f"{words}, below {derived}: consistent with it"
