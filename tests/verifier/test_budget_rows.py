"""The stand-alone verifier judges every row about a budget as the hub does, from the rows alone."""

import json

import pytest

from accounting.services import attesting, budgets, raising, returning
from accounting.services.checkpoints import issue
from accounting.services.ledger import Limit
from tests.accounting import builders as b
from tests.accounting import world as w
from tests.verifier import bundles

pytestmark = pytest.mark.django_db
WIDE = Limit(9.0, 1e-3)
_BUILT: list[str] = []


@pytest.fixture
def document(db):
    """Two studies on one dataset, repeated rounds, a raise, attestations, both plans returned."""
    if not _BUILT:
        _play()
        _BUILT.append(json.dumps(bundles.whole()))
    return json.loads(_BUILT[0])


def _play() -> None:
    world = w.build()
    w.play(world)
    house = world.institution("cleveland")
    b.seal(rounds=3, study="lungs", limit=WIDE)
    for attempt in range(1, 6):
        b.reserve(b.key(number=1, attempt=attempt, study="lungs"), limit=WIDE)
    budgets.lower(house, "heart", "2.0", by=world.admin, reason="less")
    asked = raising.propose(house, "heart", "2.9", by=world.admin, reason="the board agreed")
    raising.approve(asked, by=world.officer, reason="I read it")
    attesting.attest(world.study, "compared", by=world.lead)
    attesting.withdraw(world.study, "they overlap", by=world.officer)
    attesting.attest(world.study, "compared anew", by=world.lead)
    for study in ("heart", "lungs"):
        returning.give_back(study)
    issue()


def test_a_ledger_with_all_of_them_holds(auditor, document):
    assert auditor.run(document)[0] == 0


@pytest.mark.parametrize(
    ("kind", "place", "facts", "check"),
    [
        ("raised", 0, {"approved_by": "alex"}, "budgets"),
        ("raised", 0, {"reason": " "}, "budgets"),
        ("raised", 0, {"before": "2.5"}, "budgets"),
        ("raised", 0, {"epsilon": "3.5"}, "budgets"),
        ("raised", 0, {"filter_order": "2.0"}, "budgets"),
        ("returned", 0, {"rdp_returned": "9.0"}, "budgets"),
        ("returned", 0, {"plan_left": []}, "budgets"),
        ("returned", 0, {"order": "2.0"}, "budgets"),
        ("attested", 1, {"withdrawn": False}, "attested"),
        ("attested", 0, {"text": ""}, "attested"),
        ("sealed", 2, {"checks": []}, "budgets"),
        ("sealed", 2, {"unit": "row"}, "budgets"),
    ],
)
def test_a_hub_that_forges_one_is_found(auditor, document, kind, place, facts, check):
    number = bundles.number_of(document, kind, place)
    found = auditor.wrong(bundles.changed(document, number, **facts))
    assert found[check][0] >= number


def test_a_plan_that_was_never_committed_is_not_returned(auditor, document):
    bodies = [bundles.body(document, n) for n in range(1, len(document["entries"]) + 1)]
    rest = [body for body in bodies if (body["kind"], body["study"]) != ("sealed", "lungs")]
    assert "budgets" in auditor.wrong(bundles.forged(document, rest))
