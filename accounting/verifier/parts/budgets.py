"""The budgets: what was lent for life, what studies committed of it, and that none was passed."""

from __future__ import annotations

from typing import Any, NamedTuple

from accounting.verifier.parts.figures import event, history
from accounting.verifier.parts.lives import Dataset, Spent
from accounting.verifier.parts.losses import History, Price
from accounting.verifier.parts.reading import Wrong, decimal, pick
from accounting.verifier.parts.renyi import Renyi, admitted, best_order, filling, whole_budget

SLACK = 1e-6  # relative: a plan made for exactly its budget must not fail by a rounding
NOTHING = 1e-9  # nats

Sealing = tuple[str, str, str]  # study, institution, protocol digest


class Budget(NamedTuple):
    """A dataset's lifetime budget, and the Rényi order at which it is filtered."""

    epsilon: float
    delta: float
    cap: float
    order: float


class Plan(NamedTuple):
    """What a study sealed at an institution before its first round; committed until returned."""

    study: str
    dataset: Dataset
    unit: str
    steps: History
    epsilon: float
    delta: float
    order: float
    bound: float  # of a study whose noise is chosen on the way: its divergence at `order`; else 0

    @property
    def figure_of(self) -> History:
        """What the figure beside it is about: the plan, or all that the study's filter admits."""
        if not self.bound:
            return self.steps
        own = best_order(self.epsilon, self.delta)
        return {filling(admitted(self.epsilon, self.delta, own), own): 1}


class Question(NamedTuple):
    """A recorded check of a budget, and the history that it must have been about.

    `order` is None where nothing was chosen after a result was seen: then any accountant may
    judge. Otherwise it must be the Rényi filter at the order sealed with the budget.
    """

    check: dict[str, Any]
    history: History
    order: float | None


class Budgets:
    """Follows the rows that say how much may be spent."""

    def __init__(self, spent: Spent) -> None:
        self.spent = spent
        self.lifetime: dict[Dataset, Budget] = {}
        self.plans: dict[Sealing, Plan] = {}
        self.sealed = 0
        self._renyi = Renyi()
        self._written: dict[Dataset, int] = {}

    def key_of(self, body: dict[str, Any]) -> str:
        """The idempotency key that a row about a lifetime budget must have: they are counted."""
        number = self._written.get(_dataset(body), 0) + 1
        return f"/{body['institution']}/{body['lineage']}/declared/{number}"

    def declared(self, body: dict[str, Any]) -> None:
        """A lifetime budget as first lent, or lowered. Raises Wrong where it is raised."""
        before, after = self._replace(body)
        if before and (after.epsilon > before.epsilon or after.delta > before.delta):
            raise Wrong(f"it raises a lifetime budget of ε = {before.epsilon:g} on nobody's word")

    def raised(self, body: dict[str, Any]) -> None:
        """A lifetime budget that two people raised, for a reason. Raises Wrong."""
        before, after = self._replace(body)
        if before is None:
            raise Wrong("it raises a lifetime budget that was never declared")
        people = (pick(body, "proposed_by", str), pick(body, "approved_by", str))
        if not all(people) or people[0] == people[1]:
            raise Wrong("a raised budget needs two different people")
        if not pick(body, "reason", str).strip():
            raise Wrong("a raised budget needs a reason")
        if (decimal(body, "before"), after.delta) != (before.epsilon, before.delta):
            raise Wrong(f"it says that the budget was {body['before']}, it was {before.epsilon:g}")
        if after.epsilon <= before.epsilon or after.cap > before.cap:
            raise Wrong("it raises nothing, or it raises the site's own cap")

    def _replace(self, body: dict[str, Any]) -> tuple[Budget | None, Budget]:
        """The budget in force before and after this row. Raises Wrong where it cannot be."""
        place = _dataset(body)
        self._written[place] = self._written.get(place, 0) + 1
        before = self.lifetime.get(place)
        names = ("epsilon", "delta", "site_cap", "filter_order")
        after = Budget(*(decimal(body, name) for name in names))
        self.lifetime[place] = after
        if after.epsilon > after.cap:
            raise Wrong(f"it lends ε = {after.epsilon:g}, above the site's own cap {after.cap:g}")
        if before and after.order != before.order and self._users(place):
            raise Wrong(f"it changes the filter's order {before.order:g} while it is in use")
        return before, after

    def seal(self, body: dict[str, Any]) -> tuple[Plan, Question]:
        """A study's whole plan at one institution, committed beside all others. Raises Wrong."""
        limit, place = pick(body, "limit", dict), _dataset(body)
        plan = Plan(
            body["study"],
            place,
            pick(body, "unit", str),
            history(event(each) for each in pick(body, "plan", list)),
            decimal(limit, "epsilon"),
            decimal(limit, "delta"),
            decimal(body, "filter_order"),
            decimal(body, "bound") if "bound" in body else 0.0,
        )
        _check_whole(plan)
        alone = self._users(place) <= {plan.study} and not plan.bound
        self.plans[_sealing(body)] = plan
        self.sealed += 1
        checks = pick(body, "checks", list)
        if [pick(check, "scope", str) for check in checks] != ["dataset"]:
            raise Wrong("it was not checked against the dataset's budget")
        _check_passed(checks[0])
        return plan, Question(checks[0], self._demand(place, ""), None if alone else plan.order)

    def check_sealing(self, body: dict[str, Any], plan: Plan) -> None:
        """What only a complete bundle can show about a plan. Raises Wrong."""
        self._check_lifetime(body, body["checks"][0])
        if plan.order != self.lifetime[plan.dataset].order:
            raise Wrong(f"it was sealed under another order than {plan.order:g}")
        standing = (p.unit for p in self.plans.values() if p.dataset == plan.dataset)
        if any(unit != plan.unit for unit in standing):
            raise Wrong(f"it commits a cost per {plan.unit} beside costs per another unit")

    def give_back(self, body: dict[str, Any]) -> tuple[History, float, float]:
        """A plan is committed no longer: what is left of it, at which order, and what else."""
        plan = self.plans.pop(_sealing(body), None)
        if plan is None or plan.dataset != _dataset(body):
            raise Wrong("it returns a plan that is not committed")
        spent = self.spent.steps.get((plan.study, *plan.dataset), {})
        left = {price: n - spent.get(price, 0) for price, n in plan.steps.items()}
        left = {price: n for price, n in left.items() if n > 0}
        if history(event(each) for each in pick(body, "plan_left", list)) != left:
            raise Wrong("what it returns is not its plan less what was reserved")
        if decimal(body, "order") != plan.order:
            raise Wrong(f"it counts at another order than {plan.order:g}, at which it was sealed")
        more = plan.bound and max(0.0, plan.bound - self._renyi.at(spent, plan.order))
        return left, plan.order, more

    def questions(self, body: dict[str, Any], *, complete: bool) -> list[Question]:
        """The two checks that a reservation records. Raises Wrong where one was not passed."""
        place, study = _dataset(body), self.spent.study(body["study"], body["institution"])
        plan, sealed = self.plans.get(_sealing(body)), self.check_sealed(body)
        checks = pick(body, "checks", list)
        if [pick(check, "scope", str) for check in checks] != ["study", "dataset"]:
            raise Wrong("it was not checked against the study's and the dataset's budget")
        for check in checks:
            _check_passed(check)
        limit = (decimal(checks[0], "limit"), decimal(checks[0], "delta"))
        if plan is not None and limit != (plan.epsilon, plan.delta):
            raise Wrong(f"it was checked against ε = {limit[0]:g}, the sealed plan says otherwise")
        asked = [Question(checks[0], study, None if sealed else best_order(*limit))]
        if complete:
            self._check_lifetime(body, checks[1])
            alone = self.spent.studies(place) <= {body["study"]}
            order = None if sealed and alone else self.lifetime[place].order
            demand = self.spent.dataset(place) if sealed else self._demand(place, body["study"])
            asked.append(Question(checks[1], demand, order))
        return asked

    def check_sealed(self, body: dict[str, Any]) -> bool:
        """Whether all that the study spent is of its sealed plan, as the row says. Raises Wrong."""
        study = self.spent.study(body["study"], body["institution"])
        plan = self.plans.get(_sealing(body))
        sealed = plan is not None and _within(study, plan.steps)
        if pick(body, "sealed", bool) is not sealed:
            raise Wrong(f"it says sealed: {body['sealed']}, the sealed plan says {sealed}")
        return sealed

    def _demand(self, place: Dataset, without: str) -> History:
        """Spent and committed: of each study the larger of both, of `without` what it spent."""
        by_study = {
            study: {price: n for price, n in steps.items() if n > 0}
            for (study, *where), steps in self.spent.steps.items()
            if (*where,) == place
        }
        for plan in self.plans.values():
            if plan.dataset == place and plan.study != without:
                own = by_study.setdefault(plan.study, {})
                for price, steps in plan.steps.items():
                    own[price] = max(own.get(price, 0), steps)
        total: History = self._unchosen(by_study, place, without)
        for own in by_study.values():
            for price, steps in own.items():
                total[price] = total.get(price, 0) + steps
        return total

    def _unchosen(
        self, by_study: dict[str, History], place: Dataset, without: str
    ) -> dict[Price, int]:
        """What studies have committed whose noise is chosen on the way, and not spent yet."""
        rest: dict[Price, int] = {}
        for plan in self.plans.values():
            if plan.dataset == place and plan.study != without and plan.bound:
                left = plan.bound - self._renyi.at(by_study[plan.study], plan.order)
                if left > NOTHING:
                    price = filling(left, plan.order)
                    rest[price] = rest.get(price, 0) + 1
        return rest

    def _users(self, place: Dataset) -> set[str]:
        """The studies that spent anything of a dataset, or have committed a plan on it."""
        plans = {plan.study for plan in self.plans.values() if plan.dataset == place}
        return self.spent.studies(place) | plans

    def _check_lifetime(self, body: dict[str, Any], check: dict[str, Any]) -> None:
        budget = self.lifetime.get(_dataset(body))
        if budget is None:
            raise Wrong(f"no lifetime budget was declared for {body['lineage']} before it")
        if (decimal(check, "limit"), decimal(check, "delta")) != (budget.epsilon, budget.delta):
            raise Wrong(
                f"it was checked against ε = {check['limit']}, the lifetime budget was "
                f"{budget.epsilon:g}"
            )


def _check_passed(check: dict[str, Any]) -> None:
    if decimal(check, "epsilon") > decimal(check, "limit") * (1.0 + SLACK):
        raise Wrong(
            f"it passes the {check['scope']}'s budget: ε = {check['epsilon']} of {check['limit']}"
        )


def _check_whole(plan: Plan) -> None:
    if not plan.bound:
        return
    most = whole_budget(plan.epsilon, plan.delta, plan.order)
    if plan.steps or abs(plan.bound - most) > SLACK * most:
        raise Wrong("it does not commit what the study's own filter lets pass")


def _within(spent: History, plan: History) -> bool:
    return all(steps <= plan.get(price, 0) for price, steps in spent.items())


def _dataset(body: dict[str, Any]) -> Dataset:
    return body["institution"], body["lineage"]


def _sealing(body: dict[str, Any]) -> Sealing:
    return body["study"], body["institution"], pick(body, "protocol_digest", str)
