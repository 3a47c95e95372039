"""Sections 2 to 4 of the report: the statement, the parameters with every ε, the accounting."""

from collections.abc import Sequence
from typing import Any

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure
from accounting.dp.filters import fits_adaptively
from accounting.models import DatasetBudget, EntryKind
from accounting.reports import curves, figures, trust, wording
from accounting.reports.parts import Material, Part
from accounting.reports.scopes import Kind
from accounting.reports.trust import TrustModel
from accounting.selectors import shown
from accounting.selectors.spending import remaining_of
from federation.protocol.document import Protocol

NO_PLAN = "no plan is sealed yet"
ANY_LIMIT = 1e6  # the filter is only asked what was spent
NOT_ONE_UNIT = "not composed: the parts protect different privacy units"


def section(material: Material) -> dict[str, Any]:
    """Unit, δ, target and budget, and for each part what it spent and has left."""
    protocol, parts = material.protocol(), material.parts
    units = sorted({part.unit for part in parts if part.unit})
    return {
        "unit": protocol.data.unit if protocol else " and ".join(units) or "none yet",
        "max_rows_per_unit": _cap(material),
        "neighbouring": "add or remove one unit",
        "delta": f"{_delta(material):g}",
        "delta_rule": _delta_rule(material),
        "target_epsilon": _target(protocol) if protocol else wording.NOT_A_STUDY,
        "institutions": [_part(material, part) for part in parts],
        "across_institutions": _across(material),
        "studies": [_study(material, slug) for slug in sorted(material.protocols)],
        "lifetime": _lifetimes(material),
        "budget_history": [budget_row(body) for body in _budget_rows(material)],
    }


def statements(material: Material, spent: dict[str, Any]) -> list[dict[str, Any]]:
    """One sentence per trust model in use; today every site adds full noise, whatever the study."""
    worst = spent["across_institutions"]["if_no_person_is_at_two"]
    model = TrustModel.SITE_NOISE
    if isinstance(worst, str):
        return [{"trust_model": model.value, "sentence": "Nothing was spent yet.", "figure": None}]
    claim = trust.Claim(
        shown=worst["shown"],
        delta=worst["delta"],
        accountant=worst["accountant"],
        unit=worst["unit"],
        cap=spent["max_rows_per_unit"] if worst["unit"] == "patient" else None,
        outputs=_outputs(material),
    )
    sentence = trust.sentence(model, claim)
    return [{"trust_model": model.value, "sentence": sentence, "figure": worst}]


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
        "parameters": _chosen(material),
        "gate": "every event was checked against the study's and the dataset's budget beforehand",
        "across_rounds": "composed, never added up",
        "across_studies": "composed per dataset lineage against its lifetime budget",
        "across_sites": "both the maximum and the composition are printed",
        "tuning": "every run is a study of its own and is charged",
    }


def _part(material: Material, part: Part) -> dict[str, Any]:
    spent, claim = epsilon(part.events, part.delta), _claimed(part)
    closing = epsilon(part.everything, part.delta)
    return {
        "institution": part.institution,
        "name": part.name,
        "lineage": part.lineage,
        "unit": part.unit or "none yet",
        "spent": figures.figure(spent, part.unit, part.scope),
        "before": _before(material, part),
        "in_all": figures.figure(closing, part.unit, part.scope),
        "second_opinion": figures.figure(
            epsilon(part.events, part.delta, "rdp"), part.unit, part.scope
        ),
        "odometer": figures.figure(claim, part.unit, part.scope) if part.order else None,
        "certified": _certified(material, part),
        "committed": NO_PLAN if part.committed is None else shown.up(float(part.committed)),
        "returned": _returned(material, part),
        "budget": _text(part.budget),
        "remaining": NO_PLAN if part.budget is None else _left(part, closing.epsilon),
        "other_deltas": figures.at_other_deltas(part.events),
        "attacker_percent_sure": figures.percent_sure(claim.epsilon),
        "reading": wording.posterior(claim.shown(), figures.percent_sure(claim.epsilon)),
        "by_study": _by_study(part),
        "curve": curves.curve(part),
    }


def _claimed(part: Part) -> Figure:
    """The figure that may be claimed: tight where all was fixed beforehand, else the filter's.

    A privacy loss distribution bounds nothing for parameters chosen on the way (arXiv 2602.06756);
    one Rényi order that was sealed in advance does (arXiv 2008.11193).
    """
    return _bound(part.events, part.delta, part.order)


def _bound(events: Sequence[PrivacyEvent], delta: float, order: float | None) -> Figure:
    if order is None:
        return epsilon(events, delta)
    return fits_adaptively(events, ANY_LIMIT, delta, order).figure


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
    if not material.certify:
        return figures.NOT_CERTIFIED
    return figures.certified(part.events, part.delta)


def _before(material: Material, part: Part) -> dict[str, Any] | None:
    if not material.scope.is_period:
        return None
    return figures.figure(epsilon(part.earlier, part.delta), part.unit, part.scope)


def _by_study(part: Part) -> list[dict[str, str]]:
    """What each study spent of a dataset; never added up."""
    if part.study:
        return []
    events: dict[str, list[PrivacyEvent]] = {}
    for deed in part.deeds:
        if deed.counted:
            events.setdefault(deed.reserved["study"], []).append(deed.event)
    return [
        {"study": study, "shown": epsilon(history, part.delta).shown(), "delta": f"{part.delta:g}"}
        for study, history in sorted(events.items())
    ]


def _across(material: Material) -> dict[str, Any]:
    parts = [part for part in material.parts if part.events]
    spent = [figures.figure(_claimed(p), p.unit, p.scope) for p in parts]
    worst = max(spent, key=lambda found: float(found["epsilon"]), default=None)
    return {
        "if_no_person_is_at_two": worst or _nothing(material),
        "if_a_person_may_be_at_all": _together(material, parts),
        "attested_by": _attested(material),
    }


def _attested(material: Material) -> list[dict[str, Any]] | str:
    """Who answers for disjoint patients under the present protocol; the newest row holds."""
    study = material.study
    if study is None:
        return "nobody, so both figures are printed"
    rows = material.trail.rows(EntryKind.ATTESTED)
    mine = [body for body in rows if body["protocol_digest"] == study.protocol_digest]
    if not mine:
        return "nobody, so both figures are printed"
    last = mine[-1]
    if last.get("withdrawn"):
        return f"nobody any longer: {last['name']} withdrew it on {last['at'][:10]}: {last['text']}"
    return [_attestation(last)]


def _nothing(material: Material) -> dict[str, Any] | str:
    """Where nothing is spent: a study with a sealed plan says ε = 0, anything else says so."""
    part = next(iter(material.parts), None)
    if part is None or not material.study:
        return NO_PLAN
    return figures.figure(epsilon((), part.delta), part.unit, part.scope)


def _together(material: Material, parts: list[Part]) -> dict[str, Any] | str:
    if len({part.unit for part in parts}) > 1:
        return NOT_ONE_UNIT
    unit = parts[0].unit if parts else ""
    everything = [event for part in parts for event in part.events]
    order = next((part.order for part in parts if part.order), None)
    found = _bound(everything, _delta(material), order)
    words = "all institutions" if material.study else "all datasets in this report"
    return figures.figure(found, unit, words)


def _attestation(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "at": body["at"],
        "entry": body["sequence"],
        "name": str(body.get("name", "")),
        "text": str(body.get("text", "")),
        "institutions": list(body.get("institutions", ())),
    }


def _delta(material: Material) -> float:
    """The study's δ; across datasets the smallest, at which every part's ε is largest."""
    return min((part.delta for part in material.parts), default=1e-5)


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


def _outputs(material: Material) -> str:
    words = {
        Kind.STUDY: "everything that left that institution in this study",
        Kind.PART: "everything that left that institution in this study",
        Kind.DATASET: "everything that left that dataset in any study",
    }
    told = words.get(material.scope.kind, "everything that left any one dataset in any study")
    return f"{told} in this period" if material.scope.is_period else told


def _chosen(material: Material) -> str:
    if not any(part.order for part in material.parts):
        return "sealed before round 1"
    return (
        "adaptive, or several studies on one dataset: an odometer, so the figure that is claimed "
        "is that of the RDP filter, at an order sealed in advance"
    )


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
