"""What the coins of several institutions show as one is judged by the hub and the lone verifier."""

import json

import pytest

from accounting.dp.audit import measure
from accounting.services import auditing
from accounting.services.auditing import Place
from accounting.services.checkpoints import issue
from accounting.services.hub_key import hub_key
from accounting.services.verification import verify
from federation.protocol.audit import Coins
from tests.accounting import builders as b
from tests.accounting import forging, in_memory
from tests.verifier import bundles

pytestmark = pytest.mark.django_db(transaction=True)
HOUSES = {"cleveland": 2, "zurich": 1}  # and how many rounds each took part in
FLIPS = "01" * 20
DELTA = 1e-5


@pytest.fixture
def played():
    """Two audited houses, of which one spent more, and what both show together."""
    for slug in HOUSES:
        b.lend(slug)
        b.seal(slug)
        auditing.commit(place(slug), Coins(FLIPS, b"s" * 32).commitment.hex())
    for slug, rounds in HOUSES.items():
        for number in range(1, rounds + 1):
            b.whole_round(b.key(slug, number))
    coins = [int(flip) for flip in FLIPS]
    for slug in HOUSES:
        figure = auditing.spent(place(slug), DELTA)
        result = auditing.result_json(measure(coins, coins, DELTA), figure)
        auditing.reveal(place(slug), coins=FLIPS, salt=(b"s" * 32).hex(), result=result)
    largest = max((auditing.spent(place(s), DELTA) for s in HOUSES), key=lambda f: f.epsilon)
    result = auditing.result_json(measure(2 * coins, 2 * coins, DELTA), largest)
    auditing.reveal_together("heart", b.PROTOCOL, institutions=list(HOUSES), result=result)
    issue()
    return bundles.whole()


def place(slug: str) -> Place:
    return Place("heart", slug, "heart", b.PROTOCOL)


def smaller(body: dict) -> None:
    body["result"]["figure"]["epsilon"] = repr(
        auditing.spent(place("zurich"), DELTA).epsilon,
    )


FORGERIES = {
    "the smaller ε beside it": smaller,
    "a larger bound": lambda body: body["result"].update(lower="4.9"),
    "more canaries": lambda body: body["result"].update(canaries=120),
    "one institution alone": lambda body: body.update(institutions=["zurich"]),
    "one twice": lambda body: body.update(institutions=["zurich", "zurich"]),
    "one that revealed nothing": lambda body: body.update(institutions=["cleveland", "rome"]),
    "another protocol": lambda body: body.update(protocol_digest="e" * 64),
}


def test_both_hold_it_true(played, auditor):
    assert verify().ok
    code, text = auditor.run(played, "--key", hub_key().public)
    assert code == 0, text
    one = json.loads(played["entries"][-2]["body"])["result"]["lower"]
    assert float(json.loads(played["entries"][-1]["body"])["result"]["lower"]) > float(one)


@pytest.mark.parametrize("name", FORGERIES)
def test_both_find_what_is_false(played, auditor, name):
    bodies = [json.loads(row["body"]) for row in played["entries"]]
    FORGERIES[name](bodies[-1])
    found = auditor.wrong(bundles.forged(played, bodies))
    assert len(bodies) in {entry for entry, _ in found.values()}, found
    forging.unguard()
    forging.forge(len(bodies), FORGERIES[name])
    assert verify().first_wrong == len(bodies)


def test_a_part_of_the_ledger_cannot_judge_it(played, auditor):
    kept = [row["sequence"] for row in played["entries"] if '"cleveland"' not in row["body"]]
    last = played["entries"][-1]["sequence"]
    from_part = in_memory.document(
        bundles.Entry.objects.filter(sequence__in=[*kept, last]), scope={"kind": "study"}
    )
    code, text = auditor.run(from_part, "--key", hub_key().public)
    assert code == 0, text
