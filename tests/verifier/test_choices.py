"""The choices of an adaptive study, judged by the hub and by the lone verifier alike."""

import json

import pytest

from accounting.dp.filters import best_order
from accounting.services import proposing
from accounting.services.checkpoints import issue
from accounting.services.hub_key import hub_key
from accounting.services.verification import verify
from tests.accounting import builders as b
from tests.accounting import forging
from tests.verifier import bundles

pytestmark = pytest.mark.django_db(transaction=True)
ORDER = best_order(b.LIMIT.epsilon, b.LIMIT.delta)


def choose(number: int, *values: str, rule: str = "even", attempt: int = 1) -> None:
    facts = {
        "rule": rule,
        "metric": "auc",
        "values": list(values),
        "filter_order": repr(ORDER),
        "least_noise": "1.0",
        "most_noise": "9.0",
    }
    noise = b.TRAIN.noise_multiplier
    place = (number, attempt)
    proposing.propose("heart", place, noise, protocol_digest=b.PROTOCOL, facts=facts)


@pytest.fixture
def played():
    """Three chosen rounds at two houses; the third chosen by what was released."""
    for slug in ("cleveland", "zurich"):
        b.lend(slug)
        b.seal(slug)
    for number, values, rule in (
        (1, (), "even"),
        (2, ("0.5",), "even"),
        (3, ("0.5", "0.7"), "save"),
    ):
        choose(number, *values, rule=rule)
        for slug in ("cleveland", "zurich"):
            b.whole_round(b.key(slug, number))
    issue()
    return bundles.whole()


def first(kind: str, number: int):
    """Which body a forger changes: the first of its kind in that round."""

    def chosen(bodies: list[dict]) -> dict:
        return next(x for x in bodies if x["kind"] == kind and x["round"] == number)

    return chosen


PROPOSED, RESERVED = first("proposed", 3), first("reserved", 3)
NINTH = f"heart//proposed/9.1/{b.PROTOCOL}"
FORGERIES = {
    "less noise than allowed": (PROPOSED, {"least_noise": "2.5"}, "allows|least_noise"),
    "more noise than allowed": (PROPOSED, {"most_noise": "1.5"}, "allows|most_noise"),
    "noise that was not used": (PROPOSED, {"noise_multiplier": "2.5"}, "was chosen"),
    "no noise": (PROPOSED, {"noise_multiplier": "0.0"}, "noise"),
    "no number": (PROPOSED, {"noise_multiplier": "nan"}, "noise"),
    "another rule": (PROPOSED, {"rule": "spend"}, "rule"),
    "another metric's values": (PROPOSED, {"values": ["0.5", "0.5"]}, "rule"),
    "no values": (PROPOSED, {"values": ["0.5", "inf"], "rule": "none"}, "rule|finite"),
    "another order": (PROPOSED, {"filter_order": "3.0"}, "order"),
    "another round": (PROPOSED, {"round": 9, "idempotency_key": NINTH}, "nobody chose"),
    "another key": (PROPOSED, {"idempotency_key": "heart//proposed/8.1/x"}, "key"),
    "another protocol": (PROPOSED, {"protocol_digest": "e" * 64}, "key|nobody chose"),
}


def test_honest_choices_hold(played, auditor):
    assert verify().ok
    code, text = auditor.run(played, "--key", hub_key().public)
    assert code == 0, text
    assert "3 made before their rounds, and kept to" in text


@pytest.mark.parametrize("name", FORGERIES)
def test_what_the_lone_verifier_finds(played, auditor, name):
    meant, change, says = FORGERIES[name]
    bodies = [json.loads(row["body"]) for row in played["entries"]]
    meant(bodies).update(change)
    found = auditor.wrong(bundles.forged(played, bodies))
    assert found, "nothing was found"
    assert any(part in text for _, text in found.values() for part in says.split("|")), found


@pytest.mark.parametrize("name", FORGERIES)
def test_what_the_hub_finds(played, name):
    meant, change, says = FORGERIES[name]
    bodies = [json.loads(row["body"]) for row in played["entries"]]
    forging.unguard()
    forging.forge(meant(bodies)["sequence"], lambda body: body.update(change))
    verdict = verify()
    assert not verdict.ok
    if verdict.first_wrong:  # not only the checkpoint: that is found by the tree alone
        assert any(part in verdict.problem for part in says.split("|")), verdict.problem


def test_a_choice_after_its_reservation_is_found_by_both(played, auditor):
    bodies = [json.loads(row["body"]) for row in played["entries"]]
    place = bodies.index(PROPOSED(bodies))
    bodies.insert(place + 1, bodies.pop(place))
    assert "choices" in auditor.wrong(bundles.forged(played, bodies))
    choose(4, "0.5", "0.7", "0.7", rule="last")
    b.reserve(b.key(number=4))
    assert verify().ok
    choose(4, "0.5", "0.7", "0.7", rule="spend", attempt=2)
    b.reserve(b.key(number=4, attempt=3))
    assert "nobody chose its noise" in verify().problem


def test_rows_from_before_the_bounds_were_named_hold(played, auditor):
    bodies = [json.loads(row["body"]) for row in played["entries"]]
    for body in bodies:
        body.pop("least_noise", None)
        body.pop("most_noise", None)
    code, text = auditor.run(bundles.forged(played, bodies), "--key", hub_key().public)
    assert code == 0, text
