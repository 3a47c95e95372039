"""What a report claims of all its parts together: for each privacy unit one δ and two readings.

Where it is attested that no patient is at two institutions, the dearest of them is claimed; where
nobody answers for that, all of them composed. Both are printed (ACCOUNTING section 5).
"""

from typing import Any

from accounting.dp import parallel
from accounting.models import EntryKind
from accounting.reports import figures, trust, wording
from accounting.reports.parts import Material, Part
from accounting.reports.scopes import Kind
from accounting.reports.trust import TrustModel
from accounting.selectors import attestations
from accounting.selectors.attestations import Attestation

Group = dict[str, Any]
ONE, ALL = "if_no_person_is_at_two", "if_a_person_may_be_at_all"
NOBODY = "nobody, so all are composed"
ODOMETER = "odometer: the later plans may have been chosen after earlier results"


def groups(material: Material) -> list[Group]:
    """One group for each unit of what was spent; a study without a loss says ε = 0."""
    by_unit: dict[str, list[Part]] = {}
    for part in material.parts:
        if part.events or material.study:
            by_unit.setdefault(part.unit, []).append(part)
    return [_group(material, unit, parts) for unit, parts in sorted(by_unit.items())]


def statements(material: Material, found: list[Group]) -> list[dict[str, Any]]:
    """One sentence per unit, for the trust model in use: today every site adds full noise."""
    model = TrustModel.SITE_NOISE
    if not found:
        sentence = "Nothing was spent yet."
        told = {"trust_model": model.value, "sentence": sentence, "figure": None, "reading": ""}
        return [told]
    return [_statement(material, model, group) for group in found]


def _group(material: Material, unit: str, parts: list[Part]) -> Group:
    """The parts of one unit, all judged anew at the smallest of their δ."""
    delta = min(part.delta for part in parts)
    places = [_place(part) for part in parts]
    both = parallel.across(places, delta)
    attested = _in_force(material, parts)
    dearest = next(part for part in parts if part.key == both.dearest)
    claims_one = attested is not None or sum(bool(part.events) for part in parts) < 2
    return {
        "unit": unit,
        "delta": f"{delta:g}",
        "parts": [part.key for part in parts],
        ONE: figures.figure(both.if_disjoint, unit, dearest.scope),
        ALL: figures.figure(both.if_not, unit, _together(material, parts)),
        "claimed": ONE if claims_one else ALL,
        "odometer": ODOMETER if both.is_odometer else "",
        "attested_by": _attested(material, attested),
    }


def _place(part: Part) -> parallel.Place:
    studies = frozenset(deed.reserved["study"] for deed in part.deeds if deed.counted)
    return parallel.Place(part.key, part.unit, part.events, part.by, studies)


def _together(material: Material, parts: list[Part]) -> str:
    if len(parts) == 1:
        return parts[0].scope
    what = "institutions of this study" if material.study else "datasets in this report"
    return f"all {len(parts)} {what} together"


def _statement(material: Material, model: TrustModel, group: Group) -> dict[str, Any]:
    figure, one = group[group["claimed"]], group["claimed"] == ONE
    odometer = bool(group["odometer"]) and not one
    claim = trust.Claim(
        shown=figure["shown"],
        delta=figure["delta"],
        accountant=figure["accountant"],
        unit=group["unit"],
        cap=_cap(material, group["unit"]),
        outputs=_outputs(material, one=one),
        where="at one institution" if one else _everywhere(material, group),
        attested=_answers_for_it(group) if one else "",
        together=not one,
        period=material.scope.is_period,
    )
    percent = figures.percent_sure(float(figure["epsilon"]))
    return {
        "trust_model": model.value,
        "sentence": trust.odometer(claim) if odometer else trust.sentence(model, claim),
        "figure": figure,
        "reading": "" if odometer else wording.posterior(figure, percent),
    }


def _everywhere(material: Material, group: Group) -> str:
    what = "institutions" if material.study else "datasets"
    return f"at all {len(group['parts'])} {what} together"


def _answers_for_it(group: Group) -> str:
    found = group["attested_by"]
    return found[0]["name"] if isinstance(found, list) and len(group["parts"]) > 1 else ""


def _outputs(material: Material, *, one: bool) -> str:
    told = _OF_ONE if one else _OF_ALL
    words = told["study" if material.study else "dataset"]
    if material.scope.kind is Kind.DATASET:
        words = "everything that left that dataset in any study"
    return f"{words} in this period" if material.scope.is_period else words


_OF_ONE = {
    "study": "everything that left that institution in this study",
    "dataset": "everything that left any one dataset in any study",
}
_OF_ALL = {
    "study": "everything that left them in this study",
    "dataset": "everything that left them in any study",
}


def _cap(material: Material, unit: str) -> int | None:
    if unit != "patient":
        return None
    protocols = [p for p in material.protocols.values() if p.data.unit == unit]
    return max((p.data.max_rows_per_patient or 1 for p in protocols), default=1)


def _in_force(material: Material, parts: list[Part]) -> Attestation | None:
    """The attestation that stands now, if it names every institution of these parts."""
    found = attestations.in_force(material.study) if material.study else None
    named = found is not None and {p.institution for p in parts} <= set(found.institutions)
    return found if named else None


def _attested(material: Material, found: Attestation | None) -> list[dict[str, Any]] | str:
    """Who answers for disjoint patients under the present protocol; the newest row holds."""
    if found is not None:
        at = found.at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        row = {"at": at, "entry": found.sequence, "name": found.name, "text": found.text}
        return [{**row, "institutions": list(found.institutions)}]
    study = material.study
    rows = material.trail.rows(EntryKind.ATTESTED) if study else []
    mine = [body for body in rows if study and body["protocol_digest"] == study.protocol_digest]
    if not mine or not mine[-1].get("withdrawn"):
        return NOBODY
    last = mine[-1]
    return f"nobody any longer: {last['name']} withdrew it on {last['at'][:10]}: {last['text']}"
