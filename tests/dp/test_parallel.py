"""Across sites: the maximum where disjointness is attested, the composition where it is not."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.dp.parallel import across
from tests.dp.histories_drawn import histories, sampled

CHEAP, DEAR = sampled(2.0, 0.05, 40), sampled(1.1, 0.05, 40)


def test_disjoint_sites_cost_what_the_dearest_costs() -> None:
    found = across({"pest": [CHEAP], "buda": [DEAR]}, 1e-5)
    assert found.worst_site == "buda"
    assert found.claimed(attested_disjoint=True) == epsilon([DEAR], 1e-5)


def test_sites_that_may_share_patients_compose() -> None:
    found = across({"pest": [CHEAP], "buda": [DEAR]}, 1e-5)
    assert found.claimed(attested_disjoint=False) == epsilon([CHEAP, DEAR], 1e-5)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), histories(most=2), min_size=1))
def test_the_maximum_is_never_above_the_composition(sites: dict[str, list[PrivacyEvent]]) -> None:
    found = across(sites, 1e-5, "rdp")
    assert found.if_disjoint.epsilon <= found.if_not.epsilon * (1 + 1e-12)


def test_different_units_are_not_composed() -> None:
    with pytest.raises(ValueError, match="per patient and per row"):
        across({"pest": [CHEAP], "buda": [replace(DEAR, unit="patient")]}, 1e-5)


def test_no_site_has_no_figure() -> None:
    with pytest.raises(ValueError, match="no site"):
        across({}, 1e-5)
