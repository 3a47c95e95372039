"""What was booked was charged: neither coins nor a round's noise are chosen after it."""

import pytest
from django.db import transaction
from django.utils import timezone

from accounting.dp.accountants import epsilon
from accounting.models import EntryKind
from accounting.refusals import Conflict
from accounting.selectors import histories
from accounting.services import auditing, gate
from accounting.services.checkpoints import issue
from accounting.services.rows import Draft, append, lock
from accounting.services.verification import verify
from federation.protocol.audit import Coins
from tests.accounting import builders as b
from tests.verifier import bundles

pytestmark = pytest.mark.django_db
COINS = Coins("01" * 20, b"s" * 32).commitment.hex()
PLACE = auditing.Place("heart", "cleveland", "heart", b.PROTOCOL)
LATE = {
    "after training": Draft(
        EntryKind.COMMITTED,
        PLACE.idempotency(EntryKind.COMMITTED),
        "heart",
        "cleveland",
        "heart",
        facts={"protocol_digest": b.PROTOCOL, "commitment": COINS},
    ),
    "reserved": Draft(
        EntryKind.PROPOSED,
        f"heart//proposed/1.1/{b.PROTOCOL}",
        "heart",
        "",
        "",
        1,
        1,
        facts={"protocol_digest": b.PROTOCOL, "noise_multiplier": "2.0"},
    ),
}


@transaction.atomic
def written(draft: Draft) -> None:
    append(lock(), [draft], timezone.now())


@pytest.fixture
def booked(transactional_db):
    """A training round that only the site's journal knows."""
    b.lend("cleveland")
    b.seal("cleveland")
    key, digest = b.key("cleveland", 1), "9" * 64
    spent = histories.load(["cleveland"], key.study)
    spent.add(key.study, key.institution, key.lineage, b.TRAIN)
    facts = {
        "protocol_digest": b.PROTOCOL,
        "reason": "a test",
        "journal": {"sequence": 1, "digest": digest},
        "evidence": "e" * 64,
        "figure": gate.figure_json(epsilon(spent.study(key.study, key.institution), 1e-3)),
        "event": b.TRAIN.to_json(),
        "sealed": True,
        "checks": [],
    }
    place = (key.study, key.institution, key.lineage, key.round, key.attempt, key.phase)
    written(Draft(EntryKind.BOOKED, f"{key.idempotency('booked')}/{digest}", *place, facts))


def test_no_coins_are_bound_after_a_booked_round(booked, auditor):
    assert verify().ok, verify().sentence()
    issue()
    assert auditor.wrong(bundles.whole()) == {}
    with pytest.raises(Conflict):
        auditing.commit(PLACE, COINS)


@pytest.mark.parametrize("says", LATE)
def test_what_was_chosen_after_it_is_found_by_both(booked, auditor, says):
    written(LATE[says])
    issue()
    assert says in verify().sentence()
    assert any(
        entry == 4 and says in text for entry, text in auditor.wrong(bundles.whole()).values()
    )
