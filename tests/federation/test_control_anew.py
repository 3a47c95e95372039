"""Who left, or stays away, steers nobody: then what corrects the steps begins anew for all."""

import pytest

from federation.learning import control
from federation.models import Checkpoint, Round
from federation.selectors import live
from federation.selectors.used import AWAY, OTHERS
from studies.selectors.timeline import sentence
from studies.services import participations, studies
from tests.federation.conftest import advance
from tests.federation.test_scaffold import SCAFFOLD, given, moved, values

STEPS, RATE = 5, 0.1


@pytest.fixture
def begun(start):
    def made(count=6):
        rounds = {"count": count, "quorum": 2, "deadline_seconds": 60}
        privacy = {"noise_multiplier": 20.0}
        return advance(
            start(aggregation=SCAFFOLD, rounds=rounds, evaluation={"every": 0}, privacy=privacy)
        )

    return made


def leave(study, site, lead):
    participations.withdraw(study.participations.get(institution__slug=site.slug), by=lead)


def answered(sites, *names, value=0.25):
    """Those take their assignments and contribute; the assignments."""
    tasks = {name: sites[name].take() for name in names}
    for name, task in tasks.items():
        site = sites[name]
        assert site.contribute(task, moved(site, task, value)).json()["accepted"]
    return tasks


def everybodys(site, task):
    return values(control.parted(site.model(task))[1])


def test_the_model_is_that_of_those_who_stay(begun, sites, lead):
    """Three sites on a quadratic each, no noise; the third leaves after the first round."""
    best = {"budapest": 0.01, "cleveland": 0.03, "zurich": -0.2}
    owns = dict.fromkeys(sites, 0.0)
    study = begun(count=14)
    staying = list(sites)
    for number in range(1, 15):
        for name in staying:
            site, task = sites[name], sites[name].take()
            assert task.round == number
            model, everybody = (values(t) for t in control.parted(site.model(task)))
            correction = everybody - (owns[name] if task.parameters["after"] else 0.0)
            weight = model
            for _ in range(STEPS):
                weight -= RATE * (weight - best[name]) + correction / STEPS
            assert site.contribute(task, moved(site, task, weight - model)).json()["accepted"]
            owns[name] = -(weight - model) - correction
        if number == 1:
            leave(study, sites["zurich"], lead)
            staying.remove("zurich")
        study = advance(study)
    assert study.status == "completed"
    assert values(given(14)[0]) == pytest.approx(0.02, abs=1e-3)


def test_those_who_stay_begin_from_zero_and_then_go_on(begun, sites, lead):
    study = begun()
    answered(sites, *sites)
    leave(study, sites["zurich"], lead)
    advance(study)
    two = answered(sites, "budapest", "cleveland", value=0.5)
    for name, task in two.items():
        assert task.parameters["after"] == ""
        assert everybodys(sites[name], task) == 0
        assert values(control.parted(sites[name].model(task))[0]) == pytest.approx(0.25)
    advance(study)
    assert values(given(2)[0]) == pytest.approx(0.75)
    assert values(given(2)[1]) == pytest.approx(-0.5)  # of the whole that those two are now
    for name, task in two.items():
        third = sites[name].take()
        assert third.parameters["after"] == task.assignment
        assert everybodys(sites[name], third) == pytest.approx(-0.5)


def test_one_that_leaves_in_the_middle_of_a_round_is_out_of_the_next(begun, sites, lead):
    study = begun()
    answered(sites, *sites)
    advance(study)
    answered(sites, *sites)
    leave(study, sites["zurich"], lead)
    advance(study)
    assert Checkpoint.objects.get(number=2).contributors == sorted(sites)
    assert sites["budapest"].take().parameters["after"] == ""


def test_an_attempt_that_failed_leaves_no_beginning_behind(begun, sites, lead):
    """Begun anew in an attempt of which no model was made: the next one begins anew, too."""
    study = begun()
    one = answered(sites, *sites)
    leave(study, sites["zurich"], lead)
    advance(study)
    sites["budapest"].take()
    study = advance(study, later=120)
    assert study.status == "paused"
    studies.resume(study, by=lead, reason="again")
    advance(study)
    tasks = answered(sites, "budapest", "cleveland")
    assert {(t.attempt, t.parameters["after"]) for t in tasks.values()} == {(2, "")}
    assert Round.objects.exclude(anew_digest="").count() == 2
    assert one["budapest"].attempt == 1
    advance(study)
    assert sites["budapest"].take().parameters["after"] == tasks["budapest"].assignment


def test_one_that_stays_away_steers_nobody_after_three_models(begun, sites):
    study = begun()
    one = answered(sites, *sites)
    advance(study)
    named = []
    for later in (120, 240, 360):
        sites["zurich"].take()  # and never answers
        tasks = answered(sites, "budapest", "cleveland")
        named.append(tasks["budapest"].parameters["after"])
        advance(study, later=later)
    assert named[0] == one["budapest"].assignment
    assert all(named)
    fifth = {name: site.take() for name, site in sites.items()}
    assert {(task.round, task.parameters["after"]) for task in fifth.values()} == {(5, "")}
    assert everybodys(sites["budapest"], fifth["budapest"]) == 0


# It is told, to everybody in the study, and nobody is named.


def told(study):
    rows = study.events.filter(kind="control_anew").order_by("id")
    return [(row.payload["round"], row.payload["attempt"], sentence(row)) for row in rows]


def test_the_timeline_and_the_live_page_say_that_others_take_part(begun, sites, lead):
    study = begun()
    answered(sites, *sites)
    study = advance(study)
    assert told(study) == []
    assert live.current(study).anew == ""
    answered(sites, *sites)
    leave(study, sites["zurich"], lead)
    study = advance(study)
    said = (
        "The corrections of all sites' steps begin anew in round 3: "
        "the institutions that take part are not those of the last model"
    )
    assert told(study) == [(3, 1, said)]
    assert [row.anew for row in live.timeline(study)] == ["", "", OTHERS]
    assert study.events.get(kind="control_anew").institution is None
    answered(sites, "budapest", "cleveland")
    study = advance(study)
    assert len(told(study)) == 1
    assert live.current(study).anew == ""


def test_each_attempt_that_begins_anew_says_so(begun, sites, lead):
    study = begun()
    answered(sites, *sites)
    leave(study, sites["zurich"], lead)
    advance(study)
    study = advance(study, later=120)
    studies.resume(study, by=lead, reason="again")
    assert [(number, attempt) for number, attempt, _ in told(advance(study))] == [(2, 1), (2, 2)]


def test_one_that_stays_away_is_another_reason(begun, sites):
    study = begun()
    answered(sites, *sites)
    advance(study)
    for later in (120, 240, 360):
        answered(sites, "budapest", "cleveland")
        study = advance(study, later=later)
    assert [(number, text.partition(": ")[2]) for number, _, text in told(study)] == [(5, AWAY)]


def test_averaging_begins_nothing_anew(start, sites, lead):
    study = advance(start(rounds={"count": 3, "quorum": 2}, evaluation={"every": 0}))
    for site in sites.values():
        site.work()
    leave(study, sites["zurich"], lead)
    advance(study)
    task = sites["budapest"].take()
    assert "after" not in task.parameters
    assert told(study) == []
    assert task.model_digest == Checkpoint.objects.get(number=1).digest
