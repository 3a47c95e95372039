"""May this event still be spent? Asks every budget that it touches, in the order of cost.

A plan that was sealed in the ledger before round 1 chooses nothing after looking at results, so
the tight accountant (PLD) may judge it. Everything else, such as parameters chosen on the way or
several studies on one dataset, is judged by the RDP filter, which stays valid under full
adaptivity (ACCOUNTING section 2; arXiv 2602.06756).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure
from accounting.keys import Key, Limit, Reservation
from accounting.models import DatasetBudget, Entry, EntryKind
from accounting.selectors import histories
from accounting.services.refusals import BudgetExceeded, NotLent

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
    budgets: Mapping[tuple[str, str], Limit]
    plans: Mapping[tuple[str, str, str], frozenset[tuple[float, float, int]]]

    def admit(self, request: Reservation) -> Admission:
        """Spend the event here and judge the histories it belongs to.

        Raises:
            BudgetExceeded: a budget would be passed.
            NotLent: the dataset has no budget.
        """
        key, event = request.key, request.event
        lifetime = self._lifetime(key)
        sealed = self.in_plan(request)
        self.spent.add(key.study, key.institution, key.lineage, event)
        study = self.spent.study(key.study, key.institution)
        alone = self.spent.studies(key.institution, key.lineage) == {key.study}
        judged = {
            "study": (study, request.study_limit, sealed),
            "dataset": (
                self.spent.dataset(key.institution, key.lineage),
                lifetime,
                sealed and alone,
            ),
        }
        checks = tuple(_check(scope, key, *case) for scope, case in judged.items())
        return Admission(epsilon(study, request.study_limit.delta), checks, sealed)

    def in_plan(self, request: Reservation) -> bool:
        """Whether exactly this event stands in a plan sealed for this protocol."""
        plan = self.plans.get(
            (request.key.study, request.key.institution, request.protocol_digest), frozenset()
        )
        return signature(request.event) in plan

    def _lifetime(self, key: Key) -> Limit:
        found = self.budgets.get((key.institution, key.lineage))
        if found is None:
            raise NotLent(
                f"{key.institution} lends no dataset {key.lineage!r}: its site worker must send "
                "an offer with a lifetime budget before anything can be spent"
            )
        return found


def read(requests: Collection[Reservation]) -> Gate:
    """Read all that `requests` need: histories, budgets and sealed plans, one query each."""
    institutions = {r.key.institution for r in requests}
    rows = DatasetBudget.objects.filter(institution__in=institutions)
    budgets = {
        (row.institution, row.lineage): Limit(float(row.epsilon), float(row.delta)) for row in rows
    }
    return Gate(histories.load(institutions), budgets, _plans(requests))


def signature(event: PrivacyEvent) -> tuple[float, float, int]:
    """What makes an event cost what it costs."""
    return event.noise_multiplier, event.sample_rate, event.steps


def judge(history: tuple[PrivacyEvent, ...], limit: Limit, sealed: bool) -> tuple[bool, Figure]:
    """Whether a history fits a limit, and by which figure that was judged."""
    figure = epsilon(history, limit.delta, "rdp")
    if not within(figure, limit) and sealed:
        figure = epsilon(history, limit.delta, "pld")
    return within(figure, limit), figure


def within(figure: Figure, limit: Limit) -> bool:
    """ε ≤ limit, up to rounding in the last digits."""
    return figure.epsilon <= limit.epsilon * (1 + SLACK)


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
    scope: str, key: Key, history: tuple[PrivacyEvent, ...], limit: Limit, sealed: bool
) -> dict[str, str]:
    fits, figure = judge(history, limit, sealed)
    if not fits:
        name = key.study if scope == "study" else key.lineage
        raise BudgetExceeded(scope, key.institution, name, figure, limit)
    return {"scope": scope, "limit": repr(limit.epsilon), **figure_json(figure)}


def _plans(
    requests: Collection[Reservation],
) -> dict[tuple[str, str, str], frozenset[tuple[float, float, int]]]:
    rows = Entry.objects.filter(
        kind=EntryKind.SEALED,
        study__in={r.key.study for r in requests},
        institution__in={r.key.institution for r in requests},
    )
    return {plan_place(body): plan_signatures(body) for body in map(json.loads, _bodies(rows))}


def plan_place(body: Mapping[str, Any]) -> tuple[str, str, str]:
    """What a sealed plan holds for."""
    return body["study"], body["institution"], body["protocol_digest"]


def plan_signatures(body: Mapping[str, Any]) -> frozenset[tuple[float, float, int]]:
    """The events of a sealed plan, as what makes them cost what they cost."""
    return frozenset(signature(PrivacyEvent.from_json(event)) for event in body["plan"])


def _bodies(rows: Any) -> list[str]:
    return list(rows.values_list("body", flat=True))
