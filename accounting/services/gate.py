"""May this event still be spent? Asks every budget that it touches, in the order of cost.

A plan that was sealed in the ledger before round 1 chooses nothing after looking at results, so
the tight accountant (PLD) may judge it. Everything else, such as parameters chosen on the way, a
repeated attempt or several studies on one dataset, is judged by the RDP filter at one order fixed
with the budget, which stays valid under full adaptivity (ACCOUNTING section 2; arXiv 2008.11193,
2602.06756).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent, merged
from accounting.dp.figures import Figure
from accounting.dp.filters import Verdict, best_order, fits, fits_adaptively
from accounting.keys import Key, Limit, Reservation
from accounting.models import DatasetBudget, Entry, EntryKind
from accounting.selectors import histories, units
from accounting.services.refusals import BudgetExceeded, MixedUnits, NotLent

Plan = Mapping[tuple[float, float], int]  # (noise_multiplier, sample_rate) → steps in all
SLACK = 1e-9  # relative; a plan calibrated to exactly its budget must not fail by a rounding


@dataclass(frozen=True)
class Admission:
    """A yes, with everything that the row records about it."""

    figure: Figure  # the study at this institution after the event, by PLD
    checks: tuple[dict[str, str], ...]
    sealed: bool


@dataclass
class Gate:
    """Everything that a batch of reservations is checked against, read once under the lock."""

    spent: histories.Histories
    budgets: Mapping[tuple[str, str], tuple[Limit, float]]
    plans: Mapping[tuple[str, str, str], Plan]
    units: dict[tuple[str, str], str]  # of each dataset that something is spent of

    def admit(self, request: Reservation) -> Admission:
        """Spend the event here and judge the histories it belongs to.

        Raises:
            BudgetExceeded: a budget would be passed.
            NotLent: the dataset has no budget.
            MixedUnits: what was spent of the dataset protects another privacy unit.
        """
        key, event = request.key, request.event
        lifetime, order = self._lifetime(key)
        self._keep_unit(key, event)
        self.spent.add(key.study, key.institution, key.lineage, event)
        study = self.spent.study(key.study, key.institution)
        plan = self.plans.get((key.study, key.institution, request.protocol_digest), {})
        sealed = within(study, plan)
        alone = self.spent.studies(key.institution, key.lineage) == {key.study}
        limit = request.study_limit
        judged = {
            "study": (study, limit, None if sealed else filter_order(limit)),
            "dataset": (
                self.spent.dataset(key.institution, key.lineage),
                lifetime,
                None if sealed and alone else order,
            ),
        }
        checks = tuple(_check(scope, key, *case) for scope, case in judged.items())
        return Admission(epsilon(study, request.study_limit.delta), checks, sealed)

    def _keep_unit(self, key: Key, event: PrivacyEvent) -> None:
        place = (key.institution, key.lineage)
        before = self.units.get(place, event.unit)
        if before != event.unit and self.spent.studies(*place):
            raise MixedUnits(key.institution, key.lineage, before, event.unit)
        self.units[place] = event.unit

    def _lifetime(self, key: Key) -> tuple[Limit, float]:
        found = self.budgets.get((key.institution, key.lineage))
        if found is None:
            raise NotLent(
                f"{key.institution} lends no dataset {key.lineage!r}: its site worker must send "
                "an offer with a lifetime budget before anything can be spent"
            )
        return found


def read(requests: Collection[Reservation]) -> Gate:
    """Read all that `requests` need: histories, budgets, plans and units, one query each."""
    institutions = {r.key.institution for r in requests}
    rows = DatasetBudget.objects.filter(institution__in=institutions)
    budgets = {(row.institution, row.lineage): terms(row) for row in rows}
    spent = histories.load(institutions)
    return Gate(spent, budgets, _plans(requests), units.reserved(institutions))


def within(history: tuple[PrivacyEvent, ...], plan: Plan) -> bool:
    """Whether a study's whole history (merged) is a part of its plan.

    A repeated attempt spends more than was sealed, and somebody chose it after looking at results.
    """
    return all(e.steps <= plan.get((e.noise_multiplier, e.sample_rate), 0) for e in history)


def terms(row: DatasetBudget) -> tuple[Limit, float]:
    """A lifetime budget: its limit, and the order of its filter."""
    return Limit(float(row.epsilon), float(row.delta)), float(row.filter_order)


def filter_order(limit: Limit) -> float:
    """The order of the filter of a budget: fixed with it."""
    return best_order(limit.epsilon, limit.delta)


def judge(history: tuple[PrivacyEvent, ...], limit: Limit, order: float | None) -> Verdict:
    """Whether a history fits: by the filter at `order`, or tightly where it is None (sealed)."""
    ceiling = limit.epsilon * (1 + SLACK)
    if order is None:
        return fits(history, ceiling, limit.delta)
    return fits_adaptively(history, ceiling, limit.delta, order)


def figure_json(figure: Figure) -> dict[str, str]:
    """A figure as the ledger writes it: decimal strings that read back exactly."""
    return {
        "epsilon": repr(figure.epsilon),
        "delta": repr(figure.delta),
        "accountant": figure.accountant,
        "version": figure.version,
        "discretisation": figure.discretisation,
    }


def _check(
    scope: str, key: Key, history: tuple[PrivacyEvent, ...], limit: Limit, order: float | None
) -> dict[str, str]:
    verdict = judge(history, limit, order)
    if not verdict.fits:
        name = key.study if scope == "study" else key.lineage
        raise BudgetExceeded(scope, key.institution, name, verdict.figure, limit)
    return {"scope": scope, "limit": repr(limit.epsilon), **figure_json(verdict.figure)}


def _plans(requests: Collection[Reservation]) -> dict[tuple[str, str, str], Plan]:
    rows = Entry.objects.filter(
        kind=EntryKind.SEALED,
        study__in={r.key.study for r in requests},
        institution__in={r.key.institution for r in requests},
    )
    return dict(_plan(text) for text in _bodies(rows))


@lru_cache(maxsize=1024)  # sealed rows never change, and a long plan is long to read
def _plan(text: str) -> tuple[tuple[str, str, str], Plan]:
    body = json.loads(text)
    return plan_place(body), plan_steps(body)


def plan_place(body: Mapping[str, Any]) -> tuple[str, str, str]:
    """What a sealed plan holds for."""
    return body["study"], body["institution"], body["protocol_digest"]


def plan_steps(body: Mapping[str, Any]) -> Plan:
    """The steps of a sealed plan by what makes one cost what it costs."""
    events = merged(PrivacyEvent.from_json(event) for event in body["plan"])
    return {(event.noise_multiplier, event.sample_rate): event.steps for event in events}


def _bodies(rows: Any) -> list[str]:
    return list(rows.values_list("body", flat=True))
