"""SCAFFOLD at the hub: its control moves with what became part of a model, and by nothing else."""

import numpy as np
import pytest

from federation.learning import control
from federation.models import Assignment, Checkpoint
from federation.protocol.tensors import unpack
from federation.services import blobs
from studies.services import studies
from studies.services.errors import ProtocolRefused
from tests.federation.conftest import advance

SCAFFOLD = {"strategy": "scaffold", "weights": "equal"}
LONG = {"count": 3, "quorum": 2, "deadline_seconds": 60}


@pytest.fixture
def scaffold(start):
    return advance(start(aggregation=SCAFFOLD, rounds=LONG, evaluation={"every": 0}))


def given(number, reported=False):
    row = Checkpoint.objects.get(number=number)
    return control.parted(unpack(blobs.read(row.reported_digest if reported else row.digest)))


def values(tensors):
    """The one value that all numbers of the tensors have."""
    found = np.concatenate([array.ravel() for array in tensors.values()])
    assert np.ptp(found) < 1e-6
    return float(found[0])


def moved(site, task, value):
    model = control.parted(site.model(task))[0]
    return {name: np.full_like(array, value) for name, array in model.items()}


def test_it_is_given_out_beside_the_model_and_reported_without(scaffold, sites):
    model, direction = given(0)
    assert set(model) == set(direction)
    assert values(direction) == 0
    for value, site in zip((0.1, 0.2, 0.6), sites.values(), strict=True):
        task = site.take()
        assert site.contribute(task, moved(site, task, value)).json()["accepted"]
    advance(scaffold)
    model, direction = given(1)
    assert values(model) == pytest.approx(0.3)
    assert values(direction) == pytest.approx(-0.3)
    assert given(1, reported=True)[1] == {}


def test_each_site_is_told_what_it_goes_on_from(scaffold, sites):
    first = {slug: site.take() for slug, site in sites.items()}
    assert {task.parameters["after"] for task in first.values()} == {""}
    for slug, site in sites.items():
        assert site.contribute(first[slug]).json()["accepted"]
    advance(scaffold)
    for slug, site in sites.items():
        assert site.take().parameters["after"] == first[slug].assignment


def test_what_is_not_accepted_moves_nothing(scaffold, sites):
    zurich, *others = sites["zurich"], sites["budapest"], sites["cleveland"]
    task = zurich.take()
    assert not zurich.contribute(task, moved(zurich, task, 1e6)).json()["accepted"]
    for site in others:
        site.work()  # 0.25 each
    advance(scaffold)
    assert Checkpoint.objects.get(number=1).contributors == ["budapest", "cleveland"]
    model, direction = given(1)
    assert values(model) == pytest.approx(0.25)
    assert values(direction) == pytest.approx(-0.25 * 2 / 3)  # the third site's part stays zero
    assert zurich.take().parameters["after"] == ""
    assert others[0].take().parameters["after"] != ""


def test_an_attempt_that_failed_moves_nothing(scaffold, sites, lead):
    sites["zurich"].work()
    for slug in ("budapest", "cleveland"):
        sites[slug].take()
    study = advance(scaffold, later=120)
    assert study.status == "paused"
    studies.resume(study, by=lead, reason="again")
    advance(study)
    assert Assignment.objects.filter(round__attempt=2).count() == 3
    task = sites["zurich"].take()
    assert task.attempt == 2
    assert task.parameters["after"] == ""
    assert values(control.parted(sites["zurich"].model(task))[1]) == 0


def test_a_site_that_was_late_once_goes_on_from_what_was_used(scaffold, sites):
    first = sites["zurich"].take()
    sites["zurich"].contribute(first)
    for slug in ("budapest", "cleveland"):
        sites[slug].work()
    advance(scaffold)
    sites["zurich"].take()  # and never answers
    for slug in ("budapest", "cleveland"):
        sites[slug].work()
    study = advance(scaffold, later=120)
    assert Checkpoint.objects.get(number=2).contributors == ["budapest", "cleveland"]
    task = sites["zurich"].take()
    assert (task.round, task.parameters["after"]) == (3, first.assignment)
    assert study.status == "running"


def test_a_contribution_with_a_control_in_it_is_rejected(scaffold, sites):
    site = sites["zurich"]
    task = site.take()
    answer = site.contribute(task, site.model(task)).json()
    assert answer["accepted"] is False
    assert "the tensors are named" in answer["reason"]


@pytest.mark.parametrize(
    "sections", [{"training": {"optimiser": "adam"}}, {"audit": {"canaries": 20}}]
)
def test_what_it_cannot_serve_is_refused_before_anybody_is_asked(start, sections):
    with pytest.raises(ProtocolRefused, match=r"aggregation\.strategy: 'scaffold'"):
        start(aggregation=SCAFFOLD, **sections)


def test_a_strategy_that_is_not_installed_is_refused(start):
    with pytest.raises(ProtocolRefused, match="choose one of: fedavg, scaffold"):
        start(aggregation={"strategy": "fedsomething"})
