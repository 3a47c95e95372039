"""Who spent what: the parts of a report, each one history with its own budget and δ.

In a study a part is an institution, judged at the study's δ against its sealed plan; across
studies it is a dataset lineage, judged at the δ of its lifetime budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from accounting.dp.claims import Claim, Filter, claim, widest
from accounting.dp.events import PrivacyEvent
from accounting.keys import Limit
from accounting.models import DatasetBudget
from accounting.reports.scopes import Scope
from accounting.reports.trail import Deed, Trail, spent
from accounting.selectors import claims, commitments, histories
from accounting.selectors.judging import filter_order
from federation.protocol.document import Protocol
from studies.models import Institution, Participation, Study
from studies.selectors.protocols import protocol_of

Events = tuple[PrivacyEvent, ...]


@dataclass(frozen=True)
class Part:
    """One history. `earlier` was spent before the report's period and is not in `events`."""

    institution: str
    name: str
    lineage: str
    unit: str
    delta: float
    budget: float | None
    committed: str | None  # ε of the sealed plan; of a dataset: of all that is spent or promised
    events: Events
    earlier: Events
    deeds: tuple[Deed, ...]
    study: str = ""
    by: Filter | None = None  # what kept it; None where every parameter was fixed beforehand

    @property
    def key(self) -> str:
        """Its name among the report's lists of events."""
        return self.institution if self.study else f"{self.institution}/{self.lineage}"

    @property
    def scope(self) -> str:
        """What its figure covers, in words."""
        if self.study:
            return f"this study at {self.name}"
        return f"dataset {self.lineage} at {self.name}, all studies"

    @property
    def claim(self) -> Claim:
        """Of the events in the report's period."""
        return claim(self.events, self.delta, self.by)

    @property
    def closing(self) -> Claim:
        """Of everything at the end of the period."""
        return claim(self.everything, self.delta, self.by)

    @property
    def everything(self) -> Events:
        """All that counts at the end of the period."""
        return (*self.earlier, *self.events)


@dataclass(frozen=True)
class Material:
    """Everything that a report is written from, read once."""

    scope: Scope
    trail: Trail
    study: Study | None
    parts: tuple[Part, ...]
    protocols: dict[str, Protocol]  # by study, of those that the hub still knows
    names: dict[str, str]  # slug → name of institutions and studies
    certify: bool = False
    studies: tuple[Study, ...] = field(default=())

    def protocol(self) -> Protocol | None:
        """Of the one study that the report is about; None across studies."""
        return self.protocols.get(self.scope.study)


def gather(scope: Scope, trail: Trail, *, certify: bool = False) -> Material:
    """Read what the ledger does not know: names, protocols, budgets."""
    known = Study.objects.filter(slug__in={*trail.studies(), scope.study}).order_by("slug")
    studies = tuple(known)
    protocols = {study.slug: protocol_of(study) for study in studies}
    names = dict(Institution.objects.values_list("slug", "name"))
    study = next((row for row in studies if row.slug == scope.study), None)
    find = _of_study if study else _of_datasets
    parts = find(scope, trail, names, protocols)
    names |= {row.slug: row.name for row in studies if row.slug not in names}
    return Material(scope, trail, study, tuple(parts), protocols, names, certify, studies)


def _of_study(
    scope: Scope, trail: Trail, names: dict[str, str], protocols: dict[str, Protocol]
) -> list[Part]:
    protocol = protocols[scope.study]
    slugs = _invited(scope) | {where: "" for where, _ in trail.places() if _is_in(where, scope)}
    order = sorted(slugs, key=lambda slug: names.get(slug, slug))
    return [_study_part(scope, trail, protocol, slug, names.get(slug, slug)) for slug in order]


def _study_part(scope: Scope, trail: Trail, protocol: Protocol, slug: str, name: str) -> Part:
    plan = trail.plans.get((scope.study, slug))
    limit = plan["limit"]["epsilon"] if plan else protocol.privacy.epsilon_budget
    own = _histories(trail, slug)
    return Part(
        institution=slug,
        name=name,
        lineage=_lineage(trail, slug) or _invited(scope).get(slug, ""),
        unit=protocol.data.unit,
        delta=protocol.privacy.target_delta,
        budget=None if limit is None else float(limit),
        committed=plan["figure"]["epsilon"] if plan else None,
        study=scope.study,
        by=_study_filter(trail, (scope.study, slug), limit, protocol.privacy.target_delta),
        **own,
    )


def _study_filter(trail: Trail, place: tuple[str, str], limit: Any, delta: float) -> Filter | None:
    """The study's own filter, where it did not stay within its sealed plan."""
    study, slug = place
    deeds = _of(_at([*trail.earlier, *trail.deeds], slug), study)
    if _is_sealed(deeds, study, slug):
        return None
    limits = [Limit(float(c["limit"]), float(c["delta"])) for c in _checks(deeds, 0)]
    limits += [Limit(float(limit), delta)] if limit is not None else []
    return widest(map(claims.kept_by, limits)) if limits else None


def _checks(deeds: Sequence[Deed], place: int) -> list[dict[str, str]]:
    """How each was judged by its study's budget (0) or its dataset's (1); what was booked asked
    no budget."""
    return [deed.reserved["checks"][place] for deed in deeds if deed.reserved["checks"]]


def _is_sealed(deeds: Sequence[Deed], study: str, slug: str) -> bool:
    """Whether nobody could choose a parameter after seeing what earlier rounds released."""
    spent = commitments.steps_of(deed.event for deed in deeds if deed.counted)
    _, ever = commitments.sealed([slug], [study])
    return claims.is_sealed(spent.items(), ever.get((study, slug), ()))


def _of_datasets(
    scope: Scope, trail: Trail, names: dict[str, str], protocols: dict[str, Protocol]
) -> list[Part]:
    budgets = {(b.institution, b.lineage): b for b in _budgets(scope)}
    places = sorted(budgets.keys() | set(trail.places()))
    parts = [_dataset_part(trail, place, budgets.get(place), names) for place in places]
    return [part for part in parts if part.everything] if scope.unit else parts


def _dataset_part(
    trail: Trail, place: tuple[str, str], budget: DatasetBudget | None, names: dict[str, str]
) -> Part:
    slug, lineage = place
    own = _histories(trail, slug, lineage)
    here = _at([*trail.earlier, *trail.deeds], slug, lineage)
    last = here[-1].reserved if here else None
    delta = float(budget.delta if budget else last["figure"]["delta"] if last else 1e-5)
    by = _lifetime_filter(place, here, budget)
    return Part(
        institution=slug,
        name=names.get(slug, slug),
        lineage=lineage,
        unit=last["event"]["unit"] if last else "",
        delta=delta,
        budget=float(budget.epsilon) if budget else None,
        committed=_promised(place, delta, by),
        by=by,
        **own,
    )


def _lifetime_filter(
    place: tuple[str, str], deeds: Sequence[Deed], budget: DatasetBudget | None
) -> Filter | None:
    """A later study is chosen by people who may have seen what an earlier one released.

    Of all limits that the budget had, the widest: whoever lowered it may have seen results.
    """
    studies = {deed.reserved["study"] for deed in deeds if deed.counted}
    standing = commitments.standing([place[0]])
    users = studies | {plan.study for plan in standing.at(place)}
    alone = len(users) < 2 and not standing.bounded(place)
    if alone and all(_is_sealed(_of(deeds, s), s, place[0]) for s in studies):
        return None
    limits = [(check["limit"], check["delta"]) for check in _checks(deeds, 1)]
    limits += [(budget.epsilon, budget.delta)] if budget else []
    if not limits:
        return None
    known = budget.filter_order if budget else None
    order = float(known or filter_order(Limit(*map(float, limits[-1]))))
    return widest(Filter(float(most), float(delta), order) for most, delta in limits)


def _promised(place: tuple[str, str], delta: float, by: Filter | None) -> str:
    """ε of everything spent of a dataset and of the plans that stand on it, now."""
    standing, spent_there = commitments.standing([place[0]]), histories.load([place[0]])
    return repr(claim(standing.demand(spent_there, place), delta, by).spent.epsilon)


def _of(deeds: Sequence[Deed], study: str) -> list[Deed]:
    return [deed for deed in deeds if deed.reserved["study"] == study]


def _histories(trail: Trail, slug: str, lineage: str = "") -> dict[str, tuple]:
    return {
        "events": tuple(spent(trail.deeds, slug, lineage)),
        "earlier": tuple(spent(trail.earlier, slug, lineage)),
        "deeds": tuple(_at(trail.deeds, slug, lineage)),
    }


def _at(deeds: Sequence[Deed], slug: str, lineage: str = "") -> list[Deed]:
    return [
        deed
        for deed in deeds
        if deed.reserved["institution"] == slug and lineage in ("", deed.reserved["lineage"])
    ]


def _budgets(scope: Scope) -> list[DatasetBudget]:
    wanted = {"institution": scope.institution, "lineage": scope.lineage}
    rows = DatasetBudget.objects.filter(**{k: v for k, v in wanted.items() if v})
    return list(rows.order_by("institution", "lineage"))


def _invited(scope: Scope) -> dict[str, str]:
    rows = Participation.objects.filter(study__slug=scope.study)
    found = rows.values_list("institution__slug", "lineage")
    return {slug: lineage for slug, lineage in found if _is_in(slug, scope)}


def _is_in(slug: str, scope: Scope) -> bool:
    return scope.institution in ("", slug)


def _lineage(trail: Trail, slug: str) -> str:
    return next((lineage for where, lineage in trail.places() if where == slug), "")
