"""Sections 3 and 4 of the report: the parameters with every ε, the accounting."""

from typing import Any

from accounting.dp.accountants import epsilon
from accounting.dp.claims import claim
from accounting.dp.events import PrivacyEvent
from accounting.models import DatasetBudget, EntryKind
from accounting.reports import across, curves, figures, wording
from accounting.reports.parts import Material, Part
from accounting.selectors import shown
from accounting.selectors.spending import odometer, remaining_of
from federation.protocol.document import Protocol

NO_PLAN = "no plan is sealed yet"


def section(material: Material) -> dict[str, Any]:
    """Unit, δ, target and budget, and for each part what it spent and has left."""
    protocol, parts = material.protocol(), material.parts
    units = sorted({part.unit for part in parts if part.unit})
    return {
        "unit": protocol.data.unit if protocol else " and ".join(units) or "none yet",
        "max_rows_per_unit": _cap(material),
        "neighbouring": "add or remove one unit",
        "delta": " and ".join(sorted({f"{part.delta:g}" for part in parts})) or "none yet",
        "delta_rule": _delta_rule(material),
        "target_epsilon": _target(protocol) if protocol else wording.NOT_A_STUDY,
        "institutions": [_part(material, part) for part in parts],
        "across_institutions": across.groups(material),
        "studies": [_study(material, slug) for slug in sorted(material.protocols)],
        "lifetime": _lifetimes(material),
        "budget_history": [budget_row(body) for body in _budget_rows(material)],
    }


def accounting(material: Material, spent: dict[str, Any]) -> dict[str, Any]:
    """Which accountant said it, on what grid, and what was composed with what."""
    first = next((part["spent"] for part in spent["institutions"]), None)
    return {
        "accountant": first["accountant"] if first else "pld",
        "version": first["version"] if first else "",
        "discretisation": first["discretisation"] if first else "",
        "second_opinion": (
            "PRV, as a certified interval, and Rényi (RDP), an upper bound, looser than PLD"
            if material.certify
            else "Rényi (RDP), beside each figure; an upper bound, looser than PLD"
        ),
        "parameters": _chosen(material, spent["across_institutions"]),
        "gate": "every event was checked against the study's and the dataset's budget beforehand",
        "across_rounds": "composed, never added up",
        "across_studies": "composed per dataset lineage against its lifetime budget",
        "across_sites": "composed, unless it is attested that no patient is at two: then the "
        "maximum; both are printed, at one δ for each unit",
        "tuning": "every run is a study of its own and is charged",
    }


def _part(material: Material, part: Part) -> dict[str, Any]:
    found, closing = part.claim, part.closing
    percent = figures.percent_sure(found.claimed.epsilon)
    claimed = figures.figure(found.claimed, part.unit, part.scope)
    return {
        "institution": part.institution,
        "name": part.name,
        "lineage": part.lineage,
        "unit": part.unit or "none yet",
        "claimed": claimed,
        "spent": figures.figure(found.spent, part.unit, part.scope),
        "odometer": odometer(closing),
        "before": _before(material, part),
        "in_all": figures.figure(closing.spent, part.unit, part.scope),
        "second_opinion": _second(part),
        "certified": _certified(material, part),
        "committed": NO_PLAN if part.committed is None else shown.up(float(part.committed)),
        "returned": _returned(material, part),
        "budget": _text(part.budget),
        "remaining": NO_PLAN if part.budget is None else _left(part, closing.spent.epsilon),
        "other_deltas": figures.at_other_deltas(part.events, part.by),
        "attacker_percent_sure": percent,
        "reading": wording.posterior(claimed, percent),
        "by_study": _by_study(part),
        "curve": curves.curve(part),
    }


def _second(part: Part) -> dict[str, Any] | None:
    """Rényi beside PLD; none for an odometer, of which nothing tighter may be claimed."""
    if part.claim.is_odometer:
        return None
    return figures.figure(epsilon(part.events, part.delta, "rdp"), part.unit, part.scope)


def _returned(material: Material, part: Part) -> list[dict[str, Any]]:
    """What ended studies had sealed and never reserved, given back in the filter's currency."""
    rows = material.trail.rows(EntryKind.RETURNED)
    mine = [body for body in rows if body["institution"] == part.institution]
    return [
        {
            "entry": body["sequence"],
            "at": body["at"],
            "study": body["study"],
            "steps": sum(event["steps"] for event in body["plan_left"]),
            "order": body["order"],
            "rdp": body["rdp_returned"],
        }
        for body in mine
        if part.lineage in ("", body["lineage"])
    ]


def _left(part: Part, epsilon_spent: float) -> str:
    planned = part.committed is not None or not part.study
    return figures.left(part.budget or 0.0, epsilon_spent) if planned else NO_PLAN


def _certified(material: Material, part: Part) -> dict[str, str] | str:
    if part.claim.is_odometer:
        return "no: an odometer is no claim to certify"
    if not material.certify:
        return figures.NOT_CERTIFIED
    return figures.certified(part.events, part.delta)


def _before(material: Material, part: Part) -> dict[str, Any] | None:
    if not material.scope.is_period:
        return None
    return figures.figure(claim(part.earlier, part.delta, part.by).spent, part.unit, part.scope)


def _by_study(part: Part) -> list[dict[str, str]]:
    """What each study spent of a dataset; never added up."""
    if part.study:
        return []
    events: dict[str, list[PrivacyEvent]] = {}
    for deed in part.deeds:
        if deed.counted:
            events.setdefault(deed.reserved["study"], []).append(deed.event)
    return [_of_study(part, study, history) for study, history in sorted(events.items())]


def _of_study(part: Part, study: str, history: list[PrivacyEvent]) -> dict[str, str]:
    found = claim(history, part.delta, part.by).spent
    return {
        "study": study,
        "shown": found.shown(),
        "delta": f"{part.delta:g}",
        "accountant": found.accountant,
        "unit": part.unit,
        "odometer": shown.ODOMETER if part.by else "",
    }


def _delta_rule(material: Material) -> str:
    rule = "keep it below one over the number of people"
    if material.study:
        return f"fixed by the protocol; {rule}"
    return f"each dataset's own, lent with its lifetime budget; {rule}"


def _cap(material: Material) -> int:
    caps = [_cap_of(protocol) for protocol in material.protocols.values()]
    return max(caps, default=1)


def _cap_of(protocol: Protocol) -> int:
    return protocol.data.max_rows_per_patient or 1


def _chosen(material: Material, groups: list[dict[str, Any]]) -> str:
    together = next((group["odometer"] for group in groups if group["odometer"]), "")
    if not any(part.by for part in material.parts):
        sealed = "sealed before round 1"
        return f"{sealed} of each study; of all together an {together}" if together else sealed
    told = (
        "adaptive, or several studies on one dataset: what is claimed is the bound that the RDP "
        "filter enforces, at an order sealed in advance; the sum so far is an odometer"
    )
    return f"{told}; of all together an {together}" if together else told


def _study(material: Material, slug: str) -> dict[str, Any]:
    protocol = material.protocols[slug]
    status = next(row.status for row in material.studies if row.slug == slug)
    return {
        "slug": slug,
        "name": protocol.name,
        "status": status,
        "protocol_digest": protocol.digest,
        "unit": protocol.data.unit,
        "max_rows_per_unit": _cap_of(protocol),
        "target_epsilon": _target(protocol),
        "delta": f"{protocol.privacy.target_delta:g}",
    }


def _lifetimes(material: Material) -> list[dict[str, str]] | str:
    """Of the institution that the report is about; a study's report tells no house's lifetime."""
    scope = material.scope
    if not scope.institution:
        return "on the ledger page of each institution"
    rows = DatasetBudget.objects.filter(institution=scope.institution).order_by("lineage")
    return [_lifetime(row) for row in rows if scope.lineage in ("", row.lineage)]


def _lifetime(row: DatasetBudget) -> dict[str, str]:
    state = remaining_of(row)
    return {
        "institution": row.institution,
        "lineage": row.lineage,
        "budget": row.epsilon,
        "delta": row.delta,
        "site_cap": row.site_cap,
        "spent": state.figure.shown(),
        "accountant": state.figure.accountant,
        "unit": state.unit or "none yet",
        "odometer": state.odometer,
        "remaining": figures.left(state.limit, state.figure.epsilon),
    }


def _budget_rows(material: Material) -> list[dict[str, Any]]:
    kinds = (EntryKind.DECLARED, EntryKind.RAISED)
    return [] if material.study else material.trail.rows(*kinds)


def budget_row(body: dict[str, Any]) -> dict[str, Any]:
    """One row of how a lifetime budget came to be: what, who proposed it, who approved, why."""
    return {
        "entry": body["sequence"],
        "at": body["at"],
        "institution": body["institution"],
        "lineage": body["lineage"],
        "what": body["kind"],
        "epsilon": body["epsilon"],
        "delta": body["delta"],
        "reason": body["reason"],
        "proposed_by": str(body.get("proposed_by", "")),
        "approved_by": str(body.get("approved_by", wording.BY_THE_RULES)),
    }


def _target(protocol: Protocol) -> str:
    return _text(protocol.privacy.target_epsilon)


def _text(value: float | None) -> str:
    return "none: the noise multiplier is given instead" if value is None else f"{value:g}"
