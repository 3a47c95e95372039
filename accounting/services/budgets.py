"""Lifetime budgets of datasets: declared by the site, lowered at once; services/raising raises.

Each change is a row of the ledger, so verification knows which limit was in force when.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounting.dp.figures import SMALLEST_DELTA
from accounting.keys import Limit
from accounting.models import DatasetBudget, Entry, EntryKind, LedgerHead
from accounting.selectors import commitments, histories
from accounting.selectors.judging import filter_order
from accounting.services.rows import Draft, append, lock
from studies.models import Institution, Person
from studies.services import events

_PLACES = 32  # the column's width


class BudgetError(ValueError):
    """A budget that is no number, out of range, or higher than the one in force."""


@transaction.atomic
def declare(institution: Institution, datasets: Iterable[Mapping[str, Any]]) -> list[DatasetBudget]:
    """Take over what a site's offer lends: {"lineage", "epsilon", "delta"} for each dataset.

    A new lineage gets the site's cap as its budget. A known one is lowered where the cap fell;
    where the cap rose, the budget in force stays. Two names for one lineage share the lower cap.

    Raises:
        BudgetError: a number is malformed or out of range; nothing is taken over.
    """
    head = lock()
    caps = _caps(datasets)
    return [_take_over(head, institution, lineage, *cap) for lineage, cap in caps.items()]


@transaction.atomic
def lower(
    institution: Institution, lineage: str, epsilon: str, *, by: Person, reason: str
) -> DatasetBudget:
    """Lower one budget at once, also below what was spent: then nothing more may be.

    Raises:
        BudgetError: not a positive number, or not below the budget in force.
        DatasetBudget.DoesNotExist: the institution lends no such dataset.
    """
    head = lock()
    budget = DatasetBudget.objects.get(institution=institution.slug, lineage=lineage)
    wanted = number("epsilon", epsilon)
    if wanted >= Decimal(budget.epsilon):
        raise BudgetError(
            f"the budget of {lineage} is ε = {budget.epsilon} and can only be lowered here; "
            "raising it needs two people: propose it"
        )
    before, budget.epsilon = budget.epsilon, str(wanted)
    reorder(budget)
    write(head, budget, EntryKind.DECLARED, {"reason": reason})
    _tell(institution, budget, before, by, reason)
    return budget


def _take_over(
    head: LedgerHead, institution: Institution, lineage: str, cap: Decimal, delta: Decimal
) -> DatasetBudget:
    budget = DatasetBudget.objects.filter(institution=institution.slug, lineage=lineage).first()
    if budget is None:
        budget = DatasetBudget(
            institution=institution.slug,
            lineage=lineage,
            epsilon=str(cap),
            delta=str(delta),
            site_cap=str(cap),
        )
        reorder(budget)
        write(head, budget, EntryKind.DECLARED, {"reason": "lent by the site"})
        return budget
    before = (budget.epsilon, budget.delta, budget.site_cap)
    budget.epsilon = str(min(Decimal(budget.epsilon), cap))
    budget.delta = str(min(Decimal(budget.delta), delta))
    budget.site_cap = str(cap)
    reorder(budget)
    if before != (budget.epsilon, budget.delta, budget.site_cap):
        write(head, budget, EntryKind.DECLARED, {"reason": "the site's own cap changed"})
    if before[0] != budget.epsilon:
        _tell(institution, budget, before[0], None, "the site's own cap fell")
    return budget


def reorder(budget: DatasetBudget) -> None:
    """Fix the filter's order anew, as long as nothing is spent and nothing committed under it.

    Afterwards it stays whatever the limit becomes: a filter is valid at any order that was fixed
    before the first loss, only not the one that admits most.
    """
    spent = histories.load([budget.institution])
    plans = commitments.standing([budget.institution])
    if budget.filter_order and plans.users(spent, (budget.institution, budget.lineage)):
        return
    limit = Limit(float(budget.epsilon), float(budget.delta))
    budget.filter_order = repr(filter_order(limit))


def write(head: LedgerHead, budget: DatasetBudget, kind: EntryKind, facts: dict[str, Any]) -> None:
    """Keep the budget now in force, and its row; all rows of a budget are numbered together."""
    budget.save()
    earlier = Entry.objects.filter(
        kind__in=(EntryKind.DECLARED, EntryKind.RAISED),
        institution=budget.institution,
        lineage=budget.lineage,
    ).count()
    draft = Draft(
        kind=kind,
        idempotency_key=f"/{budget.institution}/{budget.lineage}/declared/{earlier + 1}",
        study="",
        institution=budget.institution,
        lineage=budget.lineage,
        facts={
            "epsilon": budget.epsilon,
            "delta": budget.delta,
            "site_cap": budget.site_cap,
            "filter_order": budget.filter_order,
            **facts,
        },
    )
    append(head, [draft], timezone.now())


def _tell(
    institution: Institution, budget: DatasetBudget, before: str, by: Person | None, reason: str
) -> None:
    events.record(
        "budget_lowered",
        institution=institution,
        by=by,
        dataset=budget.lineage,
        lineage=budget.lineage,
        before=before,
        after=budget.epsilon,
        reason=reason,
    )


def _caps(datasets: Iterable[Mapping[str, Any]]) -> dict[str, tuple[Decimal, Decimal]]:
    caps: dict[str, tuple[Decimal, Decimal]] = {}
    for dataset in datasets:
        lineage = str(dataset["lineage"])
        cap, delta = number("epsilon", dataset["epsilon"]), _delta(dataset["delta"])
        known = caps.get(lineage, (cap, delta))
        caps[lineage] = (min(cap, known[0]), min(delta, known[1]))
    return caps


def number(name: str, value: Any) -> Decimal:
    """A positive decimal number. Raises BudgetError with the name in it."""
    try:
        found = Decimal(str(value))
    except InvalidOperation as error:
        raise BudgetError(f"{name} is {value!r}; give a decimal number such as 3.0") from error
    if not found.is_finite() or found <= 0 or len(str(found)) > _PLACES:
        raise BudgetError(f"{name} is {value!r}; give a positive decimal number such as 3.0")
    return found


def _delta(value: Any) -> Decimal:
    delta = number("delta", value)
    if not Decimal(repr(SMALLEST_DELTA)) <= delta < 1:
        raise BudgetError(f"delta is {value!r}; give a number from {SMALLEST_DELTA} to below 1")
    return delta
