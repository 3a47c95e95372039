"""Replaying the rows about budgets: declared, raised, sealed, returned, attested."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure
from accounting.dp.filters import whole_budget
from accounting.keys import Limit
from accounting.models import EntryKind
from accounting.selectors import commitments, histories, judging, written
from accounting.services.wrong import Wrong, check_scope, limit_of, near, same_figure

if TYPE_CHECKING:
    from accounting.services.replay import Replay

Body = dict[str, Any]


def declared(state: Replay, body: Body) -> None:
    """A budget as first lent, or as lowered since."""
    before = state.budgets.get(_place(body))
    if before and Decimal(body["epsilon"]) > Decimal(before[0]):
        raise Wrong(f"it raises a lifetime budget from {before[0]} to {body['epsilon']}")
    if before and Decimal(body["delta"]) > Decimal(before[1]):
        raise Wrong(f"it raises the δ of a lifetime budget from {before[1]}")
    _put_in_force(state, body)


def raised(state: Replay, body: Body) -> None:
    """A budget raised by two people, with a reason, within the site's own cap."""
    before = state.budgets.get(_place(body))
    if before is None:
        raise Wrong("it raises a lifetime budget that was never declared")
    if (body["before"], body["delta"]) != before:
        raise Wrong(f"it raises from {body['before']}, but the lifetime budget was {before}")
    if Decimal(body["epsilon"]) <= Decimal(before[0]):
        raise Wrong(f"it raises a lifetime budget from {before[0]} to {body['epsilon']}, no more")
    people = (body["proposed_by"], body["approved_by"])
    if not all(people) or people[0] == people[1]:
        raise Wrong(f"raising a budget needs two people; {people[0] or 'nobody'} did it alone")
    if not body["reason"]:
        raise Wrong("it raises a lifetime budget without a reason")
    _put_in_force(state, body)


def sealed(state: Replay, body: Body) -> None:
    """A whole plan, committed against its dataset's lifetime budget."""
    place, plan = _place(body), tuple(written.event(event) for event in body["plan"])
    state.choices.sealed(body)
    same_figure(body["figure"], _planned(body, plan))
    if place not in state.budgets:
        raise Wrong(f"no lifetime budget was declared for {place[1]} before it")
    if body["filter_order"] != state.orders[place]:
        raise Wrong(f"the order of the dataset's filter is {state.orders[place]}")
    (check,) = body["checks"]
    state.check_lifetime(place, check)
    _check_unit(state, body, place)
    users = state.standing.users(state.spent, place)
    new = commitments.commitment(body)
    state.standing.plans[new.name] = new
    alone = users <= {body["study"]} and not new.bound
    order = None if alone else float(body["filter_order"])
    demand = state.standing.demand(state.spent, place)
    check_scope(check, "dataset", judging.judge(demand, limit_of(check), order).figure)


def returned(state: Replay, body: Body) -> None:
    """What a study had sealed and never reserved, given back when it ended."""
    name = body["study"], body["institution"], body["protocol_digest"]
    plan = state.standing.plans.pop(name, None)
    if plan is None or plan.lineage != body["lineage"]:
        raise Wrong("it returns a plan that is not committed")
    spent = state.spent.steps.get((plan.study, plan.institution, plan.lineage), {})
    left, cost = plan.left(histories.Steps(spent))
    said = tuple(PrivacyEvent.from_json(event) for event in body["plan_left"])
    if commitments.steps_of(said) != commitments.steps_of(left):
        raise Wrong("what it returns is not its plan less what it reserved")
    if body["order"] != plan.order:
        raise Wrong(f"it counts at order {body['order']}, but its plan was sealed at {plan.order}")
    if not near(body["rdp_returned"], cost):
        raise Wrong(f"it returns {body['rdp_returned']}, but what is left costs {cost:.6g}")


def attested(state: Replay, body: Body) -> None:
    """Somebody answers for it that no patient is at two institutions, or takes that back."""
    name = (body["study"], body["protocol_digest"])
    taken_back = body.get("withdrawn", False)
    if not body["study"] or not body["text"] or not body["by"]:
        raise Wrong("an attestation names its study, its text and who answers for it")
    if taken_back is not (name in state.attested):
        known = "in force already" if name in state.attested else "not in force"
        raise Wrong(
            f"it is {'a withdrawal' if taken_back else 'new'}, but the attestation is {known}"
        )
    state.attested.symmetric_difference_update({name})


STEPS: dict[str, Callable[[Replay, Body], None]] = {
    EntryKind.DECLARED: declared,
    EntryKind.RAISED: raised,
    EntryKind.SEALED: sealed,
    EntryKind.RETURNED: returned,
    EntryKind.ATTESTED: attested,
}


def _planned(body: Body, plan: tuple[PrivacyEvent, ...]) -> Figure:
    """What a plan costs, or what is committed where its noise is chosen on the way."""
    limit = Limit(float(body["limit"]["epsilon"]), float(body["limit"]["delta"]))
    if "bound" not in body:
        return epsilon(plan, limit.delta)
    most = whole_budget(limit.epsilon, limit.delta, float(body["filter_order"]))
    if plan or not near(body["bound"], most):
        raise Wrong("it does not commit what the study's own filter lets pass")
    return judging.whole_figure(limit)


def _place(body: Body) -> tuple[str, str]:
    return body["institution"], body["lineage"]


def _put_in_force(state: Replay, body: Body) -> None:
    place = _place(body)
    if Decimal(body["epsilon"]) > Decimal(body["site_cap"]):
        raise Wrong(f"it lends ε = {body['epsilon']}, above the site's cap {body['site_cap']}")
    if place not in state.orders or not state.bound(place):
        state.orders[place] = body["filter_order"]
    if body["filter_order"] != state.orders[place]:
        raise Wrong(f"it changes the order of the RDP filter from {state.orders[place]}")
    state.budgets[place] = (body["epsilon"], body["delta"])


def _check_unit(state: Replay, body: Body, place: tuple[str, str]) -> None:
    spent_of = state.units.get(place, "") if state.spent.studies(*place) else ""
    bound = spent_of or state.standing.unit(place, besides=body["study"])
    if bound not in ("", body["unit"]):
        raise Wrong(f"it composes a cost per {body['unit']} with costs per {bound}")
