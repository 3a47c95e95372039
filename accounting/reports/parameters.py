"""Sections 2 to 4 of the report: the statement, the parameters with every ε, the accounting."""

from typing import Any

from accounting.dp.accountants import epsilon
from accounting.models import DatasetBudget
from accounting.reports import figures, wording
from accounting.reports.trail import Trail
from accounting.selectors.spending import remaining_of
from federation.protocol.document import Protocol

NO_PLAN = "no plan is sealed yet"


def section(
    protocol: Protocol, found: Trail, names: dict[str, str], *, lifetime: bool
) -> dict[str, Any]:
    """Unit, δ, target and budget, and for each institution what it spent and has left."""
    delta = protocol.privacy.target_delta
    sites = [_site(protocol, found, slug, name) for slug, name in names.items()]
    everything = [event for slug in names for event in found.events(slug)]
    together = epsilon(everything, delta)
    worst = max((site["spent"] for site in sites), key=lambda f: float(f["epsilon"]), default=None)
    unit = protocol.data.unit
    return {
        "unit": unit,
        "max_rows_per_unit": protocol.data.max_rows_per_patient or 1,
        "neighbouring": "add or remove one unit",
        "delta": f"{delta:g}",
        "delta_rule": "fixed by the protocol; keep it below one over the number of people",
        "target_epsilon": _text(protocol.privacy.target_epsilon),
        "institutions": sites,
        "across_institutions": {
            "if_no_person_is_at_two": worst or NO_PLAN,
            "if_a_person_may_be_at_all": figures.figure(together, unit, "all institutions"),
            "attested_by": "nobody, so both figures are printed",
        },
        "lifetime": _lifetimes(names) if lifetime else "on the ledger page of each institution",
    }


def _site(protocol: Protocol, found: Trail, slug: str, name: str) -> dict[str, Any]:
    events, delta, unit = found.events(slug), protocol.privacy.target_delta, protocol.data.unit
    scope = f"this study at {name}"
    spent, second = epsilon(events, delta), epsilon(events, delta, "rdp")
    plan = found.plans.get(slug)
    budget = plan["limit"]["epsilon"] if plan else _text(protocol.privacy.epsilon_budget)
    return {
        "institution": slug,
        "name": name,
        "spent": figures.figure(spent, unit, scope),
        "second_opinion": figures.figure(second, unit, scope),
        "certified": "not computed by the hub; manage.py epsilon --history FILE --accountant prv",
        "sealed_plan": plan["figure"]["epsilon"] if plan else NO_PLAN,
        "budget": budget,
        "remaining": figures.left(float(budget), spent.epsilon) if plan else NO_PLAN,
        "other_deltas": figures.at_other_deltas(events),
        "attacker_percent_sure": figures.percent_sure(spent.epsilon),
        "reading": wording.posterior(spent.shown(), figures.percent_sure(spent.epsilon)),
    }


def statements(protocol: Protocol, spent: dict[str, Any]) -> list[dict[str, Any]]:
    """One sentence per trust model; there is one as long as every site adds full noise."""
    worst = spent["across_institutions"]["if_no_person_is_at_two"]
    if isinstance(worst, str):
        return [{"trust_model": wording.SITE_NOISE, "sentence": "Nothing was spent yet."}]
    cap = protocol.data.max_rows_per_patient
    sentence = wording.statement(
        worst["shown"], worst["delta"], protocol.data.unit, cap, worst["accountant"]
    )
    return [{"trust_model": wording.SITE_NOISE, "sentence": sentence, "figure": worst}]


def accounting(found: Trail, spent: dict[str, Any]) -> dict[str, Any]:
    """Which accountant said it, on what grid, and what was composed with what."""
    sealed = all(deed.reserved["sealed"] for deed in found.deeds)
    first = next((site["spent"] for site in spent["institutions"]), None)
    return {
        "accountant": first["accountant"] if first else "pld",
        "version": first["version"] if first else "",
        "discretisation": first["discretisation"] if first else "",
        "second_opinion": "Rényi (RDP), beside each figure; an upper bound, looser than PLD",
        "parameters": "sealed before round 1" if sealed else "adaptive: judged by the RDP filter",
        "gate": "every event was checked against the study's and the dataset's budget beforehand",
        "across_rounds": "composed, never added up",
        "across_studies": "composed per dataset lineage against its lifetime budget",
        "across_sites": "both the maximum and the composition are printed",
        "tuning": "every run is a study of its own and is charged",
    }


def _lifetimes(names: dict[str, str]) -> list[dict[str, str]]:
    rows = DatasetBudget.objects.filter(institution__in=names).order_by("institution", "lineage")
    return [_lifetime(row) for row in rows]


def _lifetime(row: DatasetBudget) -> dict[str, str]:
    state = remaining_of(row)
    return {
        "institution": row.institution,
        "lineage": row.lineage,
        "budget": row.epsilon,
        "delta": row.delta,
        "spent": state.figure.shown(),
        "accountant": state.figure.accountant,
        "remaining": figures.left(state.limit, state.figure.epsilon),
    }


def _text(value: float | None) -> str:
    return "none: the noise multiplier is given instead" if value is None else f"{value:g}"
