"""The replay refuses each row about a budget that does not follow from the rows before it."""

import json

import pytest

from accounting.models import Entry
from accounting.services import attesting, budgets, raising, returning
from accounting.services.ledger import Limit
from accounting.services.replay import Replay, Wrong
from tests.accounting import builders as b
from tests.accounting import world as w

pytestmark = pytest.mark.django_db
WIDE = Limit(9.0, 1e-3)
_PLAYED: list[str] = []


@pytest.fixture
def bodies(db):
    """Every row of a small ledger with all kinds of rows about budgets."""
    if not _PLAYED:
        world = w.build()
        house = world.institution("cleveland")
        b.seal(rounds=3, study="lungs", limit=WIDE)
        for attempt in range(1, 6):
            b.reserve(b.key(number=1, attempt=attempt, study="lungs"), limit=WIDE)
        budgets.lower(house, "heart", "2.0", by=world.admin, reason="less")
        asked = raising.propose(house, "heart", "2.9", by=world.admin, reason="the board agreed")
        raising.approve(asked, by=world.officer, reason="I read it")
        attesting.attest(world.study, "compared", by=world.lead)
        attesting.withdraw(world.study, "they overlap", by=world.officer)
        for study in ("heart", "lungs"):
            returning.give_back(study)
        _PLAYED.extend(Entry.objects.order_by("sequence").values_list("body", flat=True))
    return [json.loads(text) for text in _PLAYED]


def replayed(bodies: list[dict]) -> None:
    state = Replay()
    for body in bodies:
        state.step(body)


def place_of(bodies: list[dict], kind: str, place: int) -> int:
    return [n for n, body in enumerate(bodies) if body["kind"] == kind][place]


def test_as_it_was_it_is_accepted(bodies):
    replayed(bodies)


@pytest.mark.parametrize(
    ("kind", "place", "facts", "says"),
    [
        ("raised", 0, {"approved_by": "alex"}, "alex did it alone"),
        ("raised", 0, {"proposed_by": ""}, "nobody did it alone"),
        ("raised", 0, {"reason": ""}, "without a reason"),
        ("raised", 0, {"before": "2.5"}, "but the lifetime budget was"),
        ("raised", 0, {"epsilon": "1.9"}, "no more"),
        ("raised", 0, {"epsilon": "3.5"}, "above the site's cap"),
        ("raised", 0, {"epsilon": "much"}, "its body cannot be read"),
        ("raised", 0, {"filter_order": "2.0"}, "changes the order"),
        ("raised", 0, {"lineage": "lungs"}, "never declared"),
        ("declared", 2, {"epsilon": "3.1"}, "it raises a lifetime budget"),
        ("sealed", 2, {"lineage": "lungs"}, "no lifetime budget was declared"),
        ("sealed", 2, {"filter_order": "2.0"}, "the order of the dataset's filter is"),
        ("sealed", 2, {"unit": "row"}, "composes a cost per row with costs per patient"),
        ("sealed", 2, {"checks": []}, "its body cannot be read"),
        ("returned", 0, {"plan_left": []}, "not its plan less what it reserved"),
        ("returned", 0, {"order": "2.0"}, "but its plan was sealed at"),
        ("returned", 0, {"rdp_returned": "9.0"}, "what is left costs"),
        ("returned", 0, {"study": "liver"}, "a plan that is not committed"),
        ("attested", 0, {"withdrawn": True}, "not in force"),
        ("attested", 1, {"withdrawn": False}, "in force already"),
        ("attested", 0, {"by": ""}, "names its study, its text and who"),
    ],
)
def test_a_forged_row_is_refused(bodies, kind, place, facts, says):
    number = place_of(bodies, kind, place)
    bodies[number] |= facts
    with pytest.raises(Wrong, match=says):
        replayed(bodies[: number + 1])


def test_a_check_that_leaves_out_the_others_is_refused(bodies):
    """As a hub would write it that lets a study into room that others have committed."""
    number = place_of(bodies, "sealed", 2)
    (check,) = bodies[number]["checks"]
    check["epsilon"] = bodies[number]["figure"]["epsilon"]
    with pytest.raises(Wrong, match="its events cost"):
        replayed(bodies[: number + 1])


def test_a_plan_above_the_budget_should_have_been_refused(bodies):
    first = place_of(bodies, "declared", 0)
    bodies[first] |= {"epsilon": "1.1", "site_cap": "1.1"}
    number = place_of(bodies, "sealed", 2)
    for body in bodies[: number + 1]:
        if body["kind"] == "sealed" and body["institution"] == "cleveland":
            body["checks"][0]["limit"] = "1.1"
    with pytest.raises(Wrong, match="it should have been refused"):
        replayed(bodies[: number + 1])
