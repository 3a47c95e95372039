"""A site admin reads what leaves and what it costs, then approves, declines or leaves."""

import pytest

from studies.selectors.protocols import protocol_of
from studies.services import studies
from tests.studies.protocols import small_protocol


@pytest.fixture
def carla(cast, browse):
    return browse(cast.carla)


@pytest.fixture
def address(url):
    return url("study-approve", "cleveland")


def decision(study, **changes):
    return {"dataset": "heart", "protocol_digest": study.protocol_digest, "read": "on"} | changes


def status(study, slug="cleveland"):
    return study.participations.get(institution__slug=slug).status


def test_the_page_says_what_leaves_and_what_it_costs(carla, address, submitted):
    html = carla.get(address).content.decode()
    plan = protocol_of(submitted).plan
    for words in (
        "2 model updates",
        "No histogram",
        "not masked",
        f"ε = {float(plan.epsilon):.1f}"[:7],
        "δ = 0.001",
        "PLD accountant",
        "per row",
        "all rounds of this study",
        submitted.protocol_digest,
    ):
        assert words in html


def test_noise_chosen_on_the_way_costs_up_to_its_bound(carla, submitted, cast, url):
    """The sealed start alone would cost less than what may be spent: never shown as the price."""
    privacy = {
        "noise_multiplier": None,
        "target_epsilon": 2.0,
        "target_delta": 0.001,
        "adaptive": {"least_noise": 0.5, "most_noise": 50},
    }
    evaluation = {"every": 1, "holdout": 0.2, "noise_multiplier": 4}
    changed = small_protocol(privacy=privacy, evaluation=evaluation)
    studies.revise(submitted, changed, by=cast.ada)
    html = carla.get(url("study-approve", "cleveland")).content.decode()
    assert "ε ≤ 2.0" in html
    assert "multiplier 0.5 to 50, chosen before each round" in html
    assert "PLD accountant" not in html
    assert "ε ≤ 2.0" in carla.get(url("panel-head")).content.decode()
    protocol = carla.get(url("study-protocol")).content.decode()
    assert 'figure-large">ε ≤ 2.0' in protocol
    assert "PLD accountant" not in protocol
    assert "chosen before each round, 0.5 to 50" in protocol
    assert "Sealed noise of every round" not in protocol


def test_histograms_are_counted(carla, submitted, cast, url):
    asks = {"every": 1, "holdout": 0.2, "noise_multiplier": 4}
    studies.revise(submitted, small_protocol(evaluation=asks), by=cast.ada)
    assert "2 noised histograms" in carla.get(url("study-approve", "cleveland")).content.decode()


def test_approving_lends_the_dataset(carla, address, submitted):
    answer = carla.post(address, decision(submitted), follow=True)
    assert "approved the protocol and lends heart" in answer.content.decode()
    part = submitted.participations.get(institution__slug="cleveland")
    assert (part.status, part.dataset, part.lineage) == ("approved", "heart", "heart-1988")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dataset": ""}, "Choose the dataset to lend"),
        ({"dataset": "kidneys"}, "Choose the dataset to lend"),
        ({"read": ""}, "This field is required"),
        ({"protocol_digest": "0" * 64}, "The protocol changed after you read it"),
    ],
)
def test_a_decision_that_is_none_changes_nothing(carla, address, submitted, changes, says):
    answer = carla.post(address, decision(submitted, **changes))
    assert says in answer.content.decode()
    assert status(submitted) == "invited"


def test_a_changed_protocol_is_shown_before_it_is_approved(carla, cast, address, submitted):
    carla.post(address, decision(submitted))
    studies.revise(submitted, small_protocol(rounds={"count": 4}), by=cast.ada)
    html = carla.get(address).content.decode()
    assert "Changed since you last decided" in html
    assert "rounds.count" in html
    assert submitted.protocol_digest in html


def test_after_a_stale_decision_the_page_offers_the_new_digest(carla, cast, address, submitted):
    old = submitted.protocol_digest
    studies.revise(submitted, small_protocol(rounds={"count": 4}), by=cast.ada)
    html = carla.post(address, decision(submitted, protocol_digest=old)).content.decode()
    assert f'value="{submitted.protocol_digest}"' in html
    assert f'value="{old}"' not in html


def test_declining_needs_a_reason_that_the_lead_reads(carla, cast, browse, submitted, url):
    address = url("participation-action", "cleveland", "decline")
    assert "This field is required" in carla.post(address, {"reason": ""}).content.decode()
    assert status(submitted) == "invited"
    carla.post(address, {"reason": "no ethics vote yet"})
    assert status(submitted) == "declined"
    assert "no ethics vote yet" in browse(cast.ada).get(url("panel-events")).content.decode()


def test_leaving_a_study_is_asked_twice(carla, running, url):
    address = url("participation-action", "cleveland", "withdraw")
    assert "cannot be recalled" in carla.get(address).content.decode()
    assert status(running) == "approved"
    carla.post(address, {"reason": "no more consent"})
    assert status(running) == "withdrawn"


def test_nothing_is_offered_where_nothing_is_to_decide(carla, running, url):
    html = carla.get(url("study-approve", "cleveland")).content.decode()
    assert "There is nothing to decide now" in html
    assert "Approve and lend" not in html


def test_without_a_dataset_the_page_says_what_to_do(carla, address, hospitals):
    hospitals.cleveland.offer = {}
    hospitals.cleveland.save()
    assert "Your site lends nothing yet" in carla.get(address).content.decode()


@pytest.mark.parametrize("action", ["approve-it", "reopen", "drop"])
def test_no_other_action_has_a_page(carla, url, action):
    assert carla.get(url("participation-action", "cleveland", action)).status_code == 404
