"""What plans demand of a budget, as algebra: no order matters, nothing is counted twice or lost."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.dp.currency import renyi
from accounting.keys import Limit
from accounting.selectors import judging
from accounting.selectors.commitments import Commitments, steps_of
from accounting.selectors.histories import Histories
from tests.accounting import builders as b

PLACE = ("cleveland", "heart")
STUDIES = ("a", "b", "c")
events = st.builds(
    lambda noise, steps: replace(b.TRAIN, noise_multiplier=noise, steps=steps),
    st.sampled_from([1.5, 2.0, 4.0]),
    st.integers(1, 40),
)
plans = st.lists(events, min_size=1, max_size=3).map(tuple)
limits = st.sampled_from([Limit(0.8, 1e-3), Limit(1.6, 1e-3), Limit(3.0, 1e-3)])


def claim(study, plan) -> judging.Claim:
    return judging.Claim(study, *PLACE, "patient", plan)


def standing(asked: dict) -> Commitments:
    found = Commitments()
    for study, plan in asked.items():
        found = found.with_plan(study, PLACE, plan)
    return found


def admitted(asked: dict, order_of_arrival, limit: Limit) -> tuple[str, ...]:
    """Who may seal, one after the other, when nothing is spent."""
    order, found = judging.filter_order(limit), {}
    for study in order_of_arrival:
        wanted = claim(study, asked[study])
        if judging.judge_claim(wanted, Histories(), standing(found), limit, order).fits:
            found[study] = asked[study]
    return tuple(sorted(found))


@settings(max_examples=20, deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys(STUDIES, plans)), limits)
def test_where_all_fit_they_fit_in_any_order(asked, limit):
    outcomes = {admitted(asked, arrival, limit) for arrival in permutations(STUDIES)}
    if tuple(sorted(STUDIES)) in outcomes:
        assert len(outcomes) == 1
    for found in outcomes:
        everything = [event for study in found for event in asked[study]]
        order = judging.filter_order(limit) if len(found) > 1 else None
        assert judging.judge(tuple(everything), limit, order).fits


@settings(max_examples=50, deadline=None)
@given(plans, plans, st.lists(events, max_size=3))
def test_a_study_demands_its_plan_or_what_it_reserved_whichever_is_more(plan, other, reserved):
    spent = Histories()
    for event in reserved:
        spent.add("a", *PLACE, event)
    both = standing({"a": plan, "b": other})
    own = standing({"a": plan}).demand(spent, PLACE)
    assert steps_of(own) == steps_of(plan) | steps_of(reserved)
    assert steps_of(both.demand(spent, PLACE)) == steps_of(own) + steps_of(other)
    assert steps_of(both.demand(spent, PLACE, without="a")) == steps_of(reserved) + steps_of(other)
    assert steps_of(Commitments().demand(spent, PLACE)) == steps_of(reserved)
    assert both.users(spent, PLACE) == {"a", "b"}
    assert both.demand(spent, ("cleveland", "lungs")) == ()


@settings(max_examples=50, deadline=None)
@given(plans, st.integers(0, 60))
def test_what_is_returned_and_what_was_reserved_are_the_plan(plan, steps):
    """In the currency of the filter nothing is won or lost by stopping early."""
    whole = steps_of(plan)
    price = next(iter(whole))
    reserved = steps_of([replace(plan[0], steps=min(steps, whole[price]))] if steps else [])
    spent = Histories()
    for key, count in reserved.items():
        spent.count(("a", *PLACE), key, count)
    kept = renyi(Commitments().demand(spent, PLACE), 4.7)
    returned = renyi(_events(whole - reserved), 4.7)
    assert kept + returned == pytest.approx(renyi(plan, 4.7))


def _events(steps):
    made = Histories()
    for key, count in steps.items():
        made.count(("x", *PLACE), key, count)
    return made.dataset(*PLACE)
