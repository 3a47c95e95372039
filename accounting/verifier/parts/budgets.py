"""The budgets: what was lent for life, what a study sealed, and that nothing went beyond."""

from __future__ import annotations

from typing import Any, NamedTuple

from accounting.verifier.parts.figures import event, history
from accounting.verifier.parts.lives import Dataset
from accounting.verifier.parts.losses import History
from accounting.verifier.parts.reading import Wrong, decimal, pick
from accounting.verifier.parts.renyi import best_order

SLACK = 1e-6  # relative: a plan made for exactly its budget must not fail by a rounding

Sealing = tuple[str, str, str]  # study, institution, protocol digest


class Budget(NamedTuple):
    """A dataset's lifetime budget, and the Rényi order at which it is filtered."""

    epsilon: float
    delta: float
    cap: float
    order: float


class Plan(NamedTuple):
    """What a study sealed at an institution before its first round."""

    steps: History
    epsilon: float
    delta: float


class Budgets:
    """Follows the rows that say how much may be spent."""

    def __init__(self) -> None:
        self.lifetime: dict[Dataset, Budget] = {}
        self.plans: dict[Sealing, Plan] = {}
        self._written: dict[Dataset, int] = {}

    def key_of(self, body: dict[str, Any]) -> str:
        """The idempotency key that a row about a lifetime budget must have: they are counted."""
        number = self._written.get(_dataset(body), 0) + 1
        return f"/{body['institution']}/{body['lineage']}/declared/{number}"

    def declared(self, body: dict[str, Any], spent: History) -> None:
        """A lifetime budget as first lent, or lowered. Raises Wrong where it is raised."""
        before, after = self._replace(body)
        if after.epsilon > after.cap * (1.0 + SLACK):
            raise Wrong(f"it lends ε = {after.epsilon:g}, above the site's own cap {after.cap:g}")
        if before is None:
            return
        if after.epsilon > before.epsilon or after.delta > before.delta:
            raise Wrong(f"it raises a lifetime budget of ε = {before.epsilon:g} on nobody's word")
        _check_order(before, after, spent)

    def raised(self, body: dict[str, Any], spent: History) -> None:
        """A lifetime budget that two people raised, for a reason. Raises Wrong."""
        before, after = self._replace(body)
        if before is None:
            raise Wrong("it raises a lifetime budget that was never declared")
        people = (pick(body, "proposed_by", str), pick(body, "approved_by", str))
        if not all(people) or people[0] == people[1]:
            raise Wrong("a raised budget needs two different people")
        if not pick(body, "reason", str).strip():
            raise Wrong("a raised budget needs a reason")
        if decimal(body, "before") != before.epsilon:
            raise Wrong(f"it says that the budget was {body['before']}, it was {before.epsilon:g}")
        if after.epsilon > before.cap * (1.0 + SLACK) or after.cap > before.cap:
            raise Wrong(f"it raises a budget above the site's own cap {before.cap:g}")
        _check_order(before, after, spent)

    def _replace(self, body: dict[str, Any]) -> tuple[Budget | None, Budget]:
        place = _dataset(body)
        self._written[place] = self._written.get(place, 0) + 1
        before = self.lifetime.get(place)
        names = ("epsilon", "delta", "site_cap", "filter_order")
        self.lifetime[place] = Budget(*(decimal(body, name) for name in names))
        return before, self.lifetime[place]

    def seal(self, body: dict[str, Any]) -> Plan:
        """A study's whole plan at one institution."""
        limit = pick(body, "limit", dict)
        events = [event(each) for each in pick(body, "plan", list)]
        plan = Plan(history(events), decimal(limit, "epsilon"), decimal(limit, "delta"))
        self.plans[_sealing(body)] = plan
        return plan

    def check(
        self, body: dict[str, Any], study: History, alone: bool, *, complete: bool
    ) -> list[tuple[dict[str, Any], float | None]]:
        """The two checks that a reservation records, and the order at which each must be judged.

        The order is None where a plan that was sealed before its first result may be judged by
        any accountant. Raises Wrong where a check is about another budget, or was not passed.
        """
        plan = self.plans.get(_sealing(body))
        sealed = plan is not None and _within(study, plan.steps)
        if pick(body, "sealed", bool) is not sealed:
            raise Wrong(f"it says sealed: {body['sealed']}, the sealed plan says {sealed}")
        checks = pick(body, "checks", list)
        if [pick(check, "scope", str) for check in checks] != ["study", "dataset"]:
            raise Wrong("it was not checked against the study's and the dataset's budget")
        for check in checks:
            if decimal(check, "epsilon") > decimal(check, "limit") * (1.0 + SLACK):
                raise Wrong(f"it passes the {check['scope']}'s budget of ε = {check['limit']}")
        limit = (decimal(checks[0], "limit"), decimal(checks[0], "delta"))
        if plan is not None and limit != (plan.epsilon, plan.delta):
            raise Wrong(f"it was checked against ε = {limit[0]:g}, the sealed plan says otherwise")
        order = self._lifetime_order(body, checks[1]) if complete else None
        return [
            (checks[0], None if sealed else best_order(*limit)),
            (checks[1], None if sealed and alone else order),
        ]

    def _lifetime_order(self, body: dict[str, Any], check: dict[str, Any]) -> float:
        budget = self.lifetime.get(_dataset(body))
        if budget is None:
            raise Wrong(f"no lifetime budget was declared for {body['lineage']} before it")
        if (decimal(check, "limit"), decimal(check, "delta")) != (budget.epsilon, budget.delta):
            raise Wrong(
                f"it was checked against ε = {check['limit']}, the lifetime budget was "
                f"{budget.epsilon:g}"
            )
        return budget.order


def _within(spent: History, plan: History) -> bool:
    return all(steps <= plan.get(price, 0) for price, steps in spent.items())


def _check_order(before: Budget, after: Budget, spent: History) -> None:
    if spent and after.order != before.order:
        raise Wrong(
            f"it changes the order {before.order:g} of the filter after something was spent"
        )


def _dataset(body: dict[str, Any]) -> Dataset:
    return body["institution"], body["lineage"]


def _sealing(body: dict[str, Any]) -> Sealing:
    return body["study"], body["institution"], pick(body, "protocol_digest", str)
