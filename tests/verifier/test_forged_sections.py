"""A report that tells another audit than the ledger holds, or hides what went wrong, is refused."""

import re
from typing import Any

import pytest

from accounting.dp.audit import measure
from accounting.reports.build import preview
from accounting.reports.scopes import Scope
from accounting.services import auditing
from federation.protocol.audit import Coins
from tests.accounting import builders as b
from tests.accounting import world as w

pytestmark = pytest.mark.django_db
FLIPS, DELTA = "01" * 20, 1e-5
COINS = [int(flip) for flip in FLIPS]
Document = dict[str, Any]


@pytest.fixture
def audited() -> Document:
    """Two audited institutions, shown alone and as one; one answer lost, one round tried again."""
    found = w.build()
    places = [
        auditing.Place("heart", slug, "heart", found.study.protocol_digest)
        for slug in ("cleveland", "zurich")
    ]
    for place in places:
        auditing.commit(place, Coins(FLIPS, b"s" * 32).commitment.hex())
    w.play(found)
    for place in places:
        result = auditing.result_json(measure(COINS, COINS, DELTA), auditing.spent(place, DELTA))
        auditing.reveal(place, coins=FLIPS, salt=(b"s" * 32).hex(), result=result)
    largest = max((auditing.spent(place, DELTA) for place in places), key=lambda f: f.epsilon)
    auditing.reveal_together(
        "heart",
        found.study.protocol_digest,
        institutions=[place.institution for place in places],
        result=auditing.result_json(measure(2 * COINS, 2 * COINS, DELTA), largest),
    )
    b.reserve(b.key("zurich", 9, attempt=2), limit=w.BUDGET, protocol=found.study.protocol_digest)
    return preview(Scope("heart")).document


def none_at_all(document: Document) -> None:
    document["audit"] |= {"method": "not run", "runs": [], "together": []}


def one_run_less(document: Document) -> None:
    document["audit"]["runs"].pop()


def not_as_one(document: Document) -> None:
    document["audit"]["together"] = []


def not_shown_yet(document: Document) -> None:
    waiting = {"revealed": None, "result": "committed, not revealed yet"}
    document["audit"]["runs"][0].update(waiting)


def a_smaller_bound(document: Document) -> None:
    document["audit"]["runs"][0]["lower"] = "0.1"


def fewer_right(document: Document) -> None:
    document["audit"]["together"][0]["correct"] -= 1


def a_larger_epsilon(document: Document) -> None:
    document["audit"]["together"][0]["epsilon"] = "9.0"


def refuted_called_consistent(document: Document) -> None:
    row = document["audit"]["together"][0]
    assert row["result"].startswith("REFUTED: ")
    row["result"] = row["result"].removeprefix("REFUTED: ").replace("above", "below")


def a_smaller_bound_in_words(document: Document) -> None:
    row = document["audit"]["together"][0]
    row["result"] = re.sub("ε ≥ [1-9]", "ε ≥ 0", row["result"])


def a_larger_epsilon_in_words(document: Document) -> None:
    row = document["audit"]["together"][0]
    row["result"] = row["result"].replace("the ledger's ε = ", "the ledger's ε = 9")


def one_made_up(document: Document) -> None:
    runs = document["audit"]["runs"]
    runs.append(runs[0] | {"committed": {"entry": 1, "at": ""}})


def no_incident(document: Document) -> None:
    document["incidents"] = []


def another_reason(document: Document) -> None:
    for line in document["incidents"]:
        line["reason"] += "?"


FORGED = {
    none_at_all: "it leaves out the audit of entry",
    one_run_less: "it leaves out the audit of entry",
    not_as_one: "it leaves out the audit of entry",
    not_shown_yet: "showed the coins",
    a_smaller_bound: "it says lower = 0.1, not",
    fewer_right: "it says correct =",
    a_larger_epsilon: "it says epsilon = 9.0, not",
    refuted_called_consistent: "what its audit came to",
    a_smaller_bound_in_words: "it shows ε ≥ 0.",
    a_larger_epsilon_in_words: "it shows ε = 9",
    one_made_up: "an audit that the ledger does not hold",
    no_incident: "among what went wrong it leaves out entry",
    another_reason: "among what went wrong it leaves out entry",
}


@pytest.mark.parametrize("forge", FORGED, ids=lambda forge: forge.__name__)
def test_a_forged_section_is_found(forge, audited, judge):
    forge(audited)
    code, said = judge(audited)
    assert code == 1
    assert FORGED[forge] in said


@pytest.mark.parametrize(
    "scope",
    [
        Scope("heart"),
        Scope("heart", "zurich"),
        Scope(),
        Scope(institution="cleveland"),
        Scope(institution="zurich", lineage="heart"),
        Scope("heart", unit="row"),
    ],
    ids=lambda scope: scope.text or "everything",
)
def test_every_scope_of_an_audited_study_holds(scope, audited, judge):
    code, said = judge(preview(scope).document)
    assert code == 0, said


def test_coins_that_are_not_shown_yet_hold(judge):
    found = w.build()
    place = auditing.Place("heart", "zurich", "heart", found.study.protocol_digest)
    auditing.commit(place, Coins(FLIPS, b"s" * 32).commitment.hex())
    w.play(found)
    document = preview(Scope("heart")).document
    code, said = judge(document)
    assert code == 0, said
    document["audit"]["runs"][0]["result"] = (
        "ε ≥ 0.100 at δ = 1e-05, below the ledger's ε = 0.701 at that δ (PLD accountant, per row)"
    )
    code, said = judge(document)
    assert code == 1
    assert "nothing yet" in said
