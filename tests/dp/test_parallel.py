"""Across places: the maximum where disjointness is attested, the composition where it is not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.dp.accountants import epsilon
from accounting.dp.claims import Filter
from accounting.dp.currency import renyi
from accounting.dp.events import PrivacyEvent
from accounting.dp.filters import best_order, proved
from accounting.dp.parallel import Place, across
from tests.dp.histories_drawn import histories, sampled

CHEAP, DEAR = sampled(2.0, 0.05, 40), sampled(1.1, 0.05, 40)
PEST, BUDA = Place("pest", "row", (CHEAP,)), Place("buda", "row", (DEAR,))
LOW, HIGH = Filter(3.0, 1e-5, best_order(3.0, 1e-5)), Filter(1.0, 1e-5, best_order(1.0, 1e-5))


def test_disjoint_places_cost_what_the_dearest_costs() -> None:
    found = across([PEST, BUDA], 1e-5)
    assert found.dearest == "buda"
    assert found.claimed(attested_disjoint=True) == epsilon([DEAR], 1e-5)


def test_places_that_may_share_patients_compose() -> None:
    found = across([PEST, BUDA], 1e-5)
    assert found.claimed(attested_disjoint=False) == epsilon([CHEAP, DEAR], 1e-5)


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abc"), histories(most=2), min_size=1),
    st.sets(st.sampled_from("abc")),
)
def test_the_maximum_is_never_above_the_composition(
    sites: dict[str, list[PrivacyEvent]], filtered: set[str]
) -> None:
    places = [
        Place(name, "row", tuple(events), LOW if name in filtered else None)
        for name, events in sites.items()
    ]
    found = across(places, 1e-5)
    assert found.if_disjoint.epsilon <= found.if_not.epsilon * (1 + 1e-9) + 1e-9


def test_every_place_is_judged_at_the_common_delta() -> None:
    assert across([PEST, BUDA], 1e-9).if_disjoint == epsilon([DEAR], 1e-9)


def test_filters_add_up_at_the_lowest_of_their_orders() -> None:
    places = [Place("pest", "row", (CHEAP,), LOW), Place("buda", "row", (CHEAP,), HIGH), BUDA]
    assert LOW.order < HIGH.order
    spent = LOW.divergence + HIGH.divergence + renyi([DEAR], LOW.order)
    assert across(places, 1e-5).if_not == proved(spent, 1e-5, LOW.order)


def test_one_place_alone_costs_what_may_be_claimed_of_it() -> None:
    found = across([Place("pest", "row", (CHEAP,), LOW), Place("buda", "row", ())], 1e-5)
    assert found.if_disjoint.epsilon == found.if_not.epsilon == 3.0


def test_different_units_are_not_composed() -> None:
    with pytest.raises(ValueError, match="per patient and per row"):
        across([PEST, Place("buda", "patient", (DEAR,))], 1e-5)


def test_no_place_has_no_figure() -> None:
    with pytest.raises(ValueError, match="no place"):
        across([], 1e-5)


def of(study: str, by: Filter | None = None, events: tuple[PrivacyEvent, ...] = (CHEAP,)) -> Place:
    return Place(study, "row", events, by, frozenset({study}))


@pytest.mark.parametrize(
    ("places", "odometer"),
    [
        ([of("first"), of("second")], True),
        ([of("first", LOW), of("second")], True),
        ([of("first", LOW), of("second", HIGH)], False),
        ([of("first"), of("second", events=())], False),
        ([of("first"), Place("elsewhere", "row", (CHEAP,), None, frozenset({"first"}))], False),
    ],
)
def test_over_studies_only_what_filters_kept_may_be_claimed(
    places: list[Place], odometer: bool
) -> None:
    found = across(places, 1e-5)
    assert found.is_odometer == odometer
    if odometer:
        with pytest.raises(ValueError, match="claim nothing of it"):
            found.claimed(attested_disjoint=False)
    else:
        assert found.claimed(attested_disjoint=False) == found.if_not
    assert found.claimed(attested_disjoint=True) == found.if_disjoint
