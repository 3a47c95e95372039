"""The ledger of an audit: bound before training, revealed once, and verified to the last guess."""

import json

import pytest

from accounting.dp.audit import Measured, audit_delta, measure
from accounting.models import Entry, EntryKind
from accounting.refusals import Conflict
from accounting.services import auditing
from accounting.services.replay_audit import Audits
from accounting.services.verification import verify
from accounting.services.wrong import Wrong
from federation.protocol.audit import Coins
from tests.accounting import builders as b
from tests.accounting import forging

pytestmark = pytest.mark.django_db

COINS = Coins("01" * 20, b"s" * 32)
PLACE = auditing.Place("heart", "cleveland", "heart", b.PROTOCOL)
OTHER = Coins("10" * 20, b"s" * 32)


def bind(coins: Coins = COINS, place: auditing.Place = PLACE) -> Entry:
    return auditing.commit(place, coins.commitment.hex())


def measured() -> Measured:
    scores = [float(value) + 0.5 * (n % 5 == 0) for n, value in enumerate(COINS.values)]
    return measure(scores, COINS.values, audit_delta(1e-3))


def reveal(coins: Coins = COINS) -> Entry:
    result = auditing.result_json(measured(), auditing.spent(PLACE, audit_delta(1e-3)))
    return auditing.reveal(PLACE, coins=coins.flips, salt=coins.salt.hex(), result=result)


@pytest.fixture
def audited():
    """9 entries: lent, sealed, bound, one whole round and another reservation, revealed."""
    b.lend("cleveland")
    b.seal()
    bind()
    b.whole_round(b.key(number=1))
    b.reserve(b.key(number=2))
    return reveal()


def test_an_audited_ledger_verifies(audited):
    verdict = verify()
    assert verdict.ok, verdict.sentence()
    body = json.loads(audited.body)
    assert body["coins"] == COINS.flips
    assert body["idempotency_key"] == f"heart/cleveland/revealed/{b.PROTOCOL}"
    assert body["result"]["canaries"] == 40
    assert float(body["result"]["lower"]) > 0
    assert body["result"]["figure"]["delta"] == "1e-05"


def test_both_rows_are_free_and_written_once(audited):
    free = Entry.objects.filter(kind__in=(EntryKind.COMMITTED, EntryKind.REVEALED))
    assert {row.steps for row in free} == {0}
    assert bind().kind == EntryKind.COMMITTED
    assert reveal() == audited
    assert free.count() == 2


def test_a_site_is_bound_to_its_first_coins():
    bind()
    with pytest.raises(Conflict, match="other facts"):
        bind(OTHER)


def test_a_commitment_after_training_was_reserved_binds_nothing():
    b.lend("cleveland")
    b.reserve(b.key())
    with pytest.raises(Conflict, match="not audited"):
        bind()
    assert auditing.commitment(PLACE) is None
    assert auditing.began("heart", "cleveland")
    assert not auditing.began("heart", "zurich")


def test_nothing_is_revealed_that_was_not_committed_to():
    with pytest.raises(Conflict, match="committed to no coins"):
        reveal()


FORGERIES = {
    "other coins": lambda body: body.update(coins=OTHER.flips),
    "another salt": lambda body: body.update(salt="ab" * 32),
    "coins that are none": lambda body: body.update(coins="02" * 20),
    "another commitment": lambda body: body.update(commitment=OTHER.commitment.hex()),
    "a higher bound": lambda body: body["result"].update(lower="1.5"),
    "a bound of nothing": lambda body: body["result"].update(lower="0.0"),
    "fewer right guesses": lambda body: body["result"].update(
        correct=body["result"]["correct"] - 1
    ),
    "a convenient number of guesses": lambda body: body["result"].update(guesses=12, correct=12),
    "fewer canaries": lambda body: body["result"].update(canaries=20),
    "choosing for free": lambda body: body["result"].update(tried=1),
    "another ε beside it": lambda body: body["result"]["figure"].update(epsilon="9.0"),
    "another key": lambda body: body.update(idempotency_key="heart/cleveland/revealed/x"),
    "no result": lambda body: body.pop("result"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_reveal_is_found(audited, name):
    forging.unguard()
    forging.forge(audited.sequence, FORGERIES[name])
    verdict = verify()
    assert not verdict.ok
    assert verdict.first_wrong == audited.sequence


def test_a_commitment_that_was_moved_behind_training_is_found(audited):
    forging.unguard()
    rows = {row.sequence: row for row in Entry.objects.all()}
    early = next(row for row in rows.values() if row.kind == EntryKind.COMMITTED)
    late = next(row for row in rows.values() if row.kind == EntryKind.RESERVED)
    early.body, late.body = late.body, early.body
    for row in (early, late):
        body = json.loads(row.body) | {"sequence": row.sequence}
        Entry.objects.filter(pk=row.pk).update(body=json.dumps(body), idempotency_key=str(row.pk))
    forging.rehash()
    verdict = verify()
    assert not verdict.ok
    assert verdict.first_wrong <= late.sequence


def test_a_row_cannot_stand_twice():
    replay = Audits()
    body = {
        "study": "heart",
        "institution": "cleveland",
        "protocol_digest": b.PROTOCOL,
        "kind": "committed",
        "idempotency_key": f"heart/cleveland/committed/{b.PROTOCOL}",
        "commitment": COINS.commitment.hex(),
    }
    replay.commit(body, began=False)
    with pytest.raises(Wrong, match="second time"):
        replay.commit(body, began=False)
    with pytest.raises(Wrong, match="after training"):
        Audits().commit(body, began=True)
    with pytest.raises(Wrong, match="no SHA-256"):
        Audits().commit(body | {"commitment": "ab"}, began=False)
