"""Budgets over a whole history: lent, lowered, raised, committed, returned; and audits."""

import json
import math

import pytest

from accounting.dp.audit import audit_delta, measure
from accounting.services import attesting, auditing, budgets, raising, returning
from accounting.services.checkpoints import issue
from accounting.services.ledger import Limit
from accounting.services.verification import verify
from accounting.verifier.parts.audits import p_value, proved_bound
from federation.protocol.audit import Coins
from studies.models import Role
from tests.accounting import builders as b
from tests.accounting import world as w
from tests.verifier import bundles

pytestmark = pytest.mark.django_db
WIDE = Limit(9.0, 1e-3)
COINS = Coins("01" * 20, b"s" * 32)
_BUILT: list[str] = []


@pytest.fixture
def eventful(db):
    """Everything that may happen to a budget, at two houses, with two studies on one dataset."""
    if not _BUILT:
        _play()
        assert verify().ok, verify().sentence()
        issue()
        _BUILT.append(json.dumps(bundles.whole()))
    return json.loads(_BUILT[0])


def _play() -> None:
    found = w.build("lungs")  # lends 3.0 twice, seals 4 rounds at both houses
    house = b.institution("cleveland")
    budgets.lower(house, "heart", "2.0", by=found.admin, reason="begin small")
    officer = w.person("otto", Role.COMPLIANCE_OFFICER, house)
    asked = raising.propose(house, "heart", "2.5", by=found.admin, reason="the board agreed")
    raising.approve(asked, by=officer, reason="I read the vote")
    attesting.attest(found.study, "one register", by=found.officer)
    attesting.withdraw(found.study, "two registers", by=found.officer)
    attesting.attest(found.study, "they were joined", by=found.officer)
    b.seal(rounds=5, limit=WIDE)  # the study heart, on the same data
    place = auditing.Place("heart", "cleveland", "heart", b.PROTOCOL)
    auditing.commit(place, COINS.commitment.hex())
    b.reserve(b.key(number=1), limit=WIDE)
    b.reserve(b.key(number=2), limit=WIDE)
    b.reserve(b.key(number=2, attempt=2), limit=WIDE)
    digest = found.study.protocol_digest
    b.reserve(b.key(number=1, study="lungs"), limit=w.BUDGET, protocol=digest)
    scores = [float(value) + 0.5 * (n % 5 == 0) for n, value in enumerate(COINS.values)]
    delta = audit_delta(1e-3)
    shown = auditing.result_json(measure(scores, COINS.values, delta), auditing.spent(place, delta))
    auditing.reveal(place, coins=COINS.flips, salt=COINS.salt.hex(), result=shown)
    returning.give_back("heart")
    b.reserve(b.key(number=3), limit=WIDE)  # no plan stands: beyond it


def test_it_all_holds(auditor, eventful):
    code, text = auditor.run(eventful)
    assert code == 0, text
    for check in ("budgets", "attestations", "empirical audits"):
        assert f"✓ {check}" in text


def first_wrong(auditor, document, kind: str, place: int = 0, **facts):
    """Change one entry of a kind in a hub that signs again; what is found wrong there."""
    number = bundles.number_of(document, kind, place)
    found = auditor.wrong(bundles.changed(document, number, **facts))
    return {check: why for check, (entry, why) in found.items() if entry == number}


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"approved_by": "alex"}, "two different people"),
        ({"proposed_by": ""}, "two different people"),
        ({"reason": "  "}, "needs a reason"),
        ({"before": "1.0"}, "the budget was 1.0, it was 2"),
        ({"epsilon": "3.5"}, "above the site's own cap 3"),
        ({"epsilon": "1.5"}, "raises nothing"),
        ({"epsilon": "3.5", "site_cap": "4.0"}, "raises the site's own cap"),
        ({"delta": "0.002"}, "it says that the budget was"),
        ({"filter_order": "2.0"}, "changes the filter's order"),
    ],
)
def test_a_budget_is_raised_by_the_rules(auditor, eventful, facts, why):
    assert why in first_wrong(auditor, eventful, "raised", **facts)["budgets"]


def test_a_budget_is_not_raised_by_declaring_it_again(auditor, eventful):
    found = first_wrong(auditor, eventful, "declared", 2, epsilon="3.0", site_cap="3.0")
    assert found == {}  # lowered to what it was: nothing raised here
    found = first_wrong(auditor, eventful, "declared", 2, epsilon="3.5", site_cap="4.0")
    assert "on nobody's word" in found["budgets"]


def test_a_plan_that_did_not_fit_was_not_sealed(auditor, eventful):
    checks = bundles.body(eventful, bundles.number_of(eventful, "sealed", 2))["checks"]
    checks[0]["limit"] = "9.0"
    found = first_wrong(auditor, eventful, "sealed", 2, checks=checks)
    assert "the lifetime budget was 2.5" in found["budgets"]


def test_the_check_of_a_plan_counts_the_plans_beside_it(auditor, eventful):
    number = bundles.number_of(eventful, "sealed", 2)
    body = bundles.body(eventful, number)
    alone = body["checks"][0] | {"epsilon": body["figure"]["epsilon"]}
    found = first_wrong(auditor, eventful, "sealed", 2, checks=[alone])
    assert "cost at least" in found["epsilon"]


def test_a_tight_accountant_may_not_judge_what_was_adapted(auditor, eventful):
    number = bundles.number_of(eventful, "reserved", -1)
    body = bundles.body(eventful, number)
    assert body["sealed"] is False
    tight = {name: body["figure"][name] for name in ("epsilon", "accountant", "discretisation")}
    checks = [check | tight for check in body["checks"]]
    found = first_wrong(auditor, eventful, "reserved", -1, checks=checks)
    assert "not judged by the Rényi filter at the sealed order" in found["epsilon"]


def test_an_overspent_budget_is_found(auditor, eventful):
    number = bundles.number_of(eventful, "reserved", 3)
    checks = bundles.body(eventful, number)["checks"]
    checks[0]["epsilon"] = "1.3"
    found = first_wrong(auditor, eventful, "reserved", 3, checks=checks)
    assert "it passes the study's budget: ε = 1.3 of 1.2" in found["budgets"]


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"plan_left": []}, "not its plan less what was reserved"),
        ({"order": "2.0"}, "another order"),
        ({"rdp_returned": "1.0"}, "what is left costs"),
        ({"lineage": "lungs"}, "a plan that is not committed"),
    ],
)
def test_what_is_returned_is_what_was_left(auditor, eventful, facts, why):
    assert why in first_wrong(auditor, eventful, "returned", **facts)["budgets"]


def test_an_attestation_stands_once(auditor, eventful):
    assert "attested" in first_wrong(auditor, eventful, "attested", 0, withdrawn=True)
    assert "attested" in first_wrong(auditor, eventful, "attested", 1, withdrawn=False)
    assert "attested" in first_wrong(auditor, eventful, "attested", 0, by="")


def test_a_cost_per_row_is_not_composed_with_costs_per_patient(auditor, eventful):
    event = bundles.body(eventful, bundles.number_of(eventful, "reserved", 1))["event"]
    found = first_wrong(auditor, eventful, "reserved", 1, event=event | {"unit": "row"})
    assert "composes a cost per row with costs per patient" in found["budgets"]


def test_coins_are_those_that_were_bound(auditor, eventful):
    other = "10" + COINS.flips[2:]
    assert (
        "not those that were bound"
        in (first_wrong(auditor, eventful, "revealed", coins=other)["audits"])
    )
    bound = Coins(other, COINS.salt).commitment.hex()
    found = first_wrong(auditor, eventful, "revealed", coins=other, commitment=bound)
    assert "nobody was bound" in found["audits"]


def test_coins_bound_after_training_bind_nothing(auditor, eventful):
    bodies = [json.loads(row["body"]) for row in eventful["entries"]]
    at = bundles.number_of(eventful, "committed") - 1
    bodies.insert(at + 1, bodies.pop(at))
    found = auditor.wrong(bundles.forged(eventful, bodies))
    assert found["audits"][0] == at + 2
    assert "binds nothing" in found["audits"][1]


def test_a_bound_that_the_guesses_do_not_prove_is_found(auditor, eventful):
    result = bundles.body(eventful, bundles.number_of(eventful, "revealed"))["result"]
    found = first_wrong(auditor, eventful, "revealed", result=result | {"lower": "3.9"})
    assert "guesses prove" in found["audits"]
    found = first_wrong(auditor, eventful, "revealed", result=result | {"canaries": 41})
    assert "not those of its coins" in found["audits"]


def test_all_right_guesses_prove_the_textbook_bound():
    """δ = 0: the p-value of m right of m is (e^ε / (1 + e^ε))^m."""
    assert p_value(10, 10, 10, 0.0, 0.0) == pytest.approx(2.0**-10)
    expected = -math.log(0.05 ** (-1 / 10) - 1.0)
    assert proved_bound(10, 10, 10, 0.0, 0.05) == pytest.approx(expected, abs=1e-8)
    assert proved_bound(100, 100, 50, 1e-5, 0.05) == 0.0
