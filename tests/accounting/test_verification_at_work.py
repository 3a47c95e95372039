"""Verification while others write: one moment is judged, nobody waits, and work grows linearly."""

import threading
from collections.abc import Iterator

import pytest
from django.db import connection

from accounting.models import LedgerCheckpoint
from accounting.services import chain, ledger, replay
from accounting.services.checkpoints import issue
from accounting.services.ledger import Move
from accounting.services.snapshot import snapshot
from accounting.services.verification import judge, verify
from tests.accounting import builders as b


def written_meanwhile(rows: Iterator[chain.Row], act) -> Iterator[chain.Row]:
    """`rows`, with `act` done by another connection once the first was read."""
    yield next(rows)
    other = threading.Thread(target=_done, args=(act,))
    other.start()
    other.join(timeout=20)
    assert not other.is_alive(), "the writer waits for the verification"
    yield from rows


def _done(act) -> None:
    try:
        act()
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_entries_written_meanwhile_do_not_break_the_verdict():
    b.lend("cleveland")
    b.seal()
    b.whole_round(b.key())
    with snapshot():
        rows = written_meanwhile(chain.stored(), lambda: b.whole_round(b.key(number=2)))
        verdict = judge(rows, LedgerCheckpoint.objects.order_by("size"))
    assert verdict.ok, verdict.sentence()
    assert verdict.entries == 6
    assert verify().entries == 10


@pytest.mark.django_db(transaction=True)
def test_a_snapshot_ends_and_leaves_the_connection_usable():
    for _ in range(2):
        with snapshot():
            assert verify().ok
    b.lend("cleveland")
    issue()
    assert verify().checkpoint == 1


@pytest.mark.django_db
def test_the_accountant_is_asked_once_for_each_history(monkeypatch):
    """Twelve sites with one plan have one history at each row; a replay prices it once."""
    sites = [f"house-{number}" for number in range(12)]
    for site in sites:
        b.lend(site)
        b.seal(site)
    for number in (1, 2, 3):
        keys = [b.key(site, number) for site in sites]
        ledger.reserve_all([b.reservation(key) for key in keys])
        ledger.record([Move(key, "charged", {}) for key in keys])
    asked = []
    plain = replay.priced.epsilon
    replay.priced.figure.cache_clear()
    monkeypatch.setattr(
        replay.priced, "epsilon", lambda *about: asked.append(about) or plain(*about)
    )
    assert verify().ok
    assert len(asked) == 3


@pytest.mark.django_db
def test_a_row_with_many_different_noises_costs_no_more_queries(django_assert_num_queries):
    """The replay reads nothing back: rows, checkpoints, head, budgets and sums, once each."""
    b.lend("cleveland", epsilon="90.0")
    for number in range(1, 9):
        event = b.PrivacyEvent(b.Mechanism.POISSON_GAUSSIAN, 2.0 + number, 0.1, 1, unit="patient")
        b.reserve(b.key(number=number), event=event, limit=b.Limit(80.0, 1e-3))
    with django_assert_num_queries(5):
        assert verify().ok
