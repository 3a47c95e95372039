"""Three sites, two rounds, one evaluation: from the first reservation to the completed study."""

import numpy as np

from accounting.models import Entry, EntryKind
from federation.models import Assignment, Checkpoint, Round
from federation.protocol.tensors import unpack
from federation.selectors import live, models
from federation.services import blobs
from tests.federation.conftest import advance, kinds

WHOLE = ["reserved", "charged", "released", "acknowledged"]


def play(study, sites) -> None:
    for _ in range(3):  # train, train, evaluate
        for site in sites.values():
            site.work()
        advance(study)


def test_the_plan_is_sealed_before_the_first_reservation(study, sites):
    first = list(Entry.objects.exclude(kind="declared").values_list("kind", flat=True)[:3])
    assert first == [EntryKind.SEALED] * 3
    assert kinds(study, "zurich") == ["reserved"]


def test_nothing_is_charged_until_a_site_takes_its_assignment(study, sites):
    assert sites["zurich"].take() is not None
    assert kinds(study, "zurich") == ["reserved", "charged"]
    assert kinds(study, "budapest") == ["reserved"]


def test_the_same_assignment_comes_again_byte_for_byte_until_it_is_answered(study, sites):
    site = sites["zurich"]
    first = site.send("GET", "assignments?wait=0").content
    assert site.send("GET", "assignments?wait=0").content == first
    assert kinds(study, site) == ["reserved", "charged"]
    site.work()
    assert site.take() is None


def test_a_study_runs_to_its_end(study, sites):
    play(study, sites)
    assert study.status == "completed"
    assert list(Round.objects.values_list("number", "attempt", "status")) == [
        (1, 1, "closed"),
        (2, 1, "closed"),
    ]
    for slug in sites:
        assert kinds(study, slug, 1) == kinds(study, slug, 2) == WHOLE
        assert kinds(study, slug, 2, phase="evaluate") == WHOLE
        assert kinds(study, slug, 1, phase="evaluate") == []
    happened = list(study.events.values_list("kind", flat=True))
    assert happened.count("contribution_received") == 9
    assert happened[-3:] == ["model_evaluated", "round_closed", "study_completed"]


def test_models_add_up_and_the_reported_one_is_the_mean_of_the_last_half(study, sites):
    play(study, sites)
    first, second = (tensors(study, number, "digest") for number in (1, 2))
    for name in first:
        np.testing.assert_allclose(first[name], 0.25)
        np.testing.assert_allclose(second[name], 0.5)
    for name, array in reported(study, 2).items():
        np.testing.assert_array_equal(array, second[name])
    assert Checkpoint.objects.get(number=2).contributors == sorted(sites)


def test_averaging_takes_the_later_half(start, sites):
    study = advance(start(rounds={"count": 3}, evaluation={"every": 0}))
    for _ in range(3):
        for site in sites.values():
            site.work()
        advance(study)
    np.testing.assert_allclose(next(iter(reported(study, 3).values())), (0.5 + 0.75) / 2)


def test_weights_are_the_declared_sizes(start, sites):
    cohort = [
        {"institution": slug, "cohort_size": size}
        for slug, size in (("budapest", 100), ("cleveland", 300))
    ]
    study = advance(start(cohort=cohort, rounds={"count": 1}, evaluation={"every": 0}))
    for slug, amount in (("budapest", 0.0), ("cleveland", 1.0)):
        task = sites[slug].take()
        model = sites[slug].model(task)
        sites[slug].contribute(task, {n: np.full_like(a, amount) for n, a in model.items()})
    advance(study)
    np.testing.assert_allclose(next(iter(tensors(study, 1, "digest").values())), 0.75)


def test_site_metrics_come_from_the_sum_of_the_histograms(study, sites):
    play(study, sites)
    found = models.latest(study).sites
    assert found["contributors"] == sorted(sites)
    np.testing.assert_allclose(found["noise_standard_deviation"], 5 * 3**0.5)
    assert 0.8 < found["auc"] < 1
    assert found["noised"] is True


def test_no_figure_over_fewer_than_three_sites(start, sites):
    cohort = [{"institution": slug, "cohort_size": 100} for slug in ("budapest", "zurich")]
    study = advance(start(cohort=cohort, rounds={"count": 1}))
    for _ in range(2):
        sites["budapest"].work()
        sites["zurich"].work()
        advance(study)
    found = models.latest(study).sites
    assert "auc" not in found
    assert "fewer than 3" in found["withheld"]
    assert study.status == "completed"


def test_what_people_watch(study, sites):
    task = sites["zurich"].take()
    body = b'{"step": 2, "steps": 4}'
    path = f"assignments/{task.assignment}/progress"
    assert sites["zurich"].send("POST", path, body).status_code == 204
    assert sites["zurich"].send("POST", path, b'{"step": 9, "steps": 4}').status_code == 400
    row = live.current(study)
    states = {cell.institution: (cell.state, cell.percent) for cell in row.sites}
    assert states == {"zurich": ("taken", 50), "budapest": ("open", 0), "cleveland": ("open", 0)}
    assert [cell.institution for cell in live.holding_up(study)] == sorted(sites)
    play(study, sites)
    assert sites["zurich"].send("POST", path, body).status_code == 409
    assert [row.contributors for row in models.checkpoints(study)[1:]] == [tuple(sorted(sites))] * 2
    assert [row.number for row in models.utility(study)] == [2]
    assert live.timeline(study)[0].contributors == tuple(sorted(sites))


def test_assignments_are_unpredictable_and_their_own(study):
    uids = set(Assignment.objects.values_list("uid", flat=True))
    assert len(uids) == 3
    assert {len(uid) for uid in uids} == {32}


def tensors(study, number: int, which: str):
    return unpack(blobs.read(getattr(study.checkpoints.get(number=number), which)))


def reported(study, number: int):
    return tensors(study, number, "reported_digest")
