"""A study whose noise is chosen on the way: one row before each round, the filter for every one."""

import json
from dataclasses import replace

import pytest

from accounting.dp.calibration import CalibrationError
from accounting.dp.filters import best_order, fits_adaptively
from accounting.models import Entry
from accounting.selectors import histories
from accounting.services import ledger, proposing
from accounting.services.verification import verify
from federation.protocol.document import Protocol
from federation.services import choosing
from tests.federation.conftest import SLUGS, advance, varied

ADAPTIVE = {
    "privacy": {
        "noise_multiplier": None,
        "target_epsilon": 3.0,
        "target_delta": 1e-3,
        "adaptive": {"least_noise": 0.5, "most_noise": 60.0},
    },
    "rounds": {"count": 4, "deadline_seconds": 60},
    "evaluation": {"every": 1, "holdout": 0.2, "bins": 3, "noise_multiplier": 30.0},
}


def play(study, sites, rounds):
    """Whole rounds, each with its histogram."""
    for _ in range(2 * rounds):
        advance(study)
        for site in sites.values():
            site.work()
    return advance(study)


def proposals(study):
    rows = Entry.objects.filter(kind="proposed", study=study.slug).order_by("sequence")
    return [json.loads(row.body) for row in rows]


def reserved_noise(study, number):
    rows = Entry.objects.filter(kind="reserved", study=study.slug, round=number, phase="train")
    return {json.loads(row.body)["event"]["noise_multiplier"] for row in rows}


@pytest.fixture
def whole(start, sites):
    return play(start(**ADAPTIVE), sites, 4)


def test_each_round_has_its_own_noise_written_before_it_is_reserved(whole):
    assert whole.status == "completed"
    found = proposals(whole)
    assert [body["round"] for body in found] == [1, 2, 3, 4]
    for body in found:
        assert reserved_noise(whole, body["round"]) == {body["noise_multiplier"]}
        first = Entry.objects.filter(kind="reserved", round=body["round"]).earliest("sequence")
        assert body["sequence"] < first.sequence


def test_the_first_round_is_even_and_the_later_ones_follow_what_was_released(whole):
    rules = [body["rule"] for body in proposals(whole)]
    assert rules[0] == "even"
    # The fake sites release the same histogram each time: nothing improves.
    assert rules[2:] == ["spend", "last"]
    assert all(len(body["values"]) == body["round"] - 1 for body in proposals(whole))


def test_nothing_is_sealed_and_everything_goes_through_the_filter(whole):
    assert {json.loads(row.body)["sealed"] for row in Entry.objects.filter(kind="reserved")} == {
        False
    }
    order = best_order(3.0, 1e-3)
    for slug in SLUGS:
        spent = histories.load([slug]).study(whole.slug, slug)
        assert fits_adaptively(spent, 3.0 * (1 + 1e-9), 1e-3, order).fits


def test_the_ledger_verifies_with_its_choices(whole):
    verdict = verify()
    assert verdict.ok, verdict.sentence()
    told = whole.events.filter(kind="noise_chosen")
    assert told.count() == 4


def test_a_site_that_trains_with_another_noise_is_not_used(start, sites):
    study = advance(start(**ADAPTIVE))
    site = sites["zurich"]
    task = site.take()
    event = task.parameters["event"] | {"noise_multiplier": "0.6"}
    lying = replace(task, parameters={"event": event})
    answer = site.contribute(lying)
    assert answer.json()["accepted"] is False
    assert "not the one that the protocol prescribes" in answer.json()["reason"]
    assert study.status == "running"


def test_a_choice_stands(start):
    study = advance(start(**ADAPTIVE))
    (body,) = proposals(study)
    again = {"protocol_digest": study.protocol_digest, "facts": {}}
    noise = float(body["noise_multiplier"])
    proposing.propose(study.slug, (1, 1), noise, **again)
    with pytest.raises(ledger.Conflict, match="it stands"):
        proposing.propose(study.slug, (1, 1), noise + 1, **again)
    assert len(proposals(study)) == 1


def test_a_sealed_study_chooses_nothing(study):
    assert proposals(study) == []
    assert study.rounds.get().noise_multiplier is None


def test_a_study_with_nothing_left_is_held_with_the_reason(start, monkeypatch):
    def nothing(*_):
        raise CalibrationError("no noise multiplier fits the room that is left")

    study = start(**ADAPTIVE)
    monkeypatch.setattr(choosing.plans, "even_noise", nothing)
    advance(study)
    assert study.status == "paused"
    assert "round 1 cannot be opened: no noise" in study.status_reason
    assert proposals(study) == []


@pytest.mark.parametrize(
    ("privacy", "why"),
    [
        ({"target_epsilon": None, "noise_multiplier": 4.0}, "needs a target_epsilon"),
        ({"schedule": "harmonic"}, "uniform schedule"),
        ({"adaptive": {"least_noise": 3.0, "most_noise": 2.0}}, "exchange them"),
    ],
)
def test_what_cannot_be_adaptive(privacy, why):
    document = varied(ADAPTIVE)
    document["privacy"] = document["privacy"] | privacy
    with pytest.raises(ValueError, match=why):
        Protocol.model_validate(document)


def test_a_choice_needs_something_released():
    document = varied(ADAPTIVE | {"evaluation": {"every": 0}})
    with pytest.raises(ValueError, match="released metrics"):
        Protocol.model_validate(document)


def test_a_protocol_without_it_keeps_its_digest():
    document = varied({})
    assert "adaptive" not in Protocol.model_validate(document).canonical().decode()
