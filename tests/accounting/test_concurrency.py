"""Many writers at once: budgets hold, sequences have no gaps, one key gives one row."""

import threading

import pytest
from django.db import close_old_connections, connection

from accounting.models import Entry, LedgerHead
from accounting.services import ledger
from accounting.services.ledger import BudgetExceeded, Limit
from accounting.services.verification import verify
from tests.accounting import builders as b

pytestmark = pytest.mark.django_db(transaction=True)
WRITERS = 6


def together(act) -> list:
    """Run `act(n)` in WRITERS threads at once; their answers, an exception counting as one."""
    answers, start = [None] * WRITERS, threading.Barrier(WRITERS)

    def run(number: int) -> None:
        start.wait()
        try:
            answers[number] = act(number)
        except BudgetExceeded as refusal:
            answers[number] = refusal
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    close_old_connections()
    return answers


def test_racing_reservations_never_pass_the_budget_together():
    b.lend("cleveland")
    b.seal(rounds=WRITERS)
    room_for_three = Limit(0.75, 1e-3)
    answers = together(lambda n: b.reserve(b.key(number=n + 1), limit=room_for_three))
    refused = [answer for answer in answers if isinstance(answer, BudgetExceeded)]
    assert len(refused) == WRITERS - 3
    assert Entry.objects.filter(kind="reserved").count() == 3
    assert verify().ok


def test_one_key_from_many_workers_is_one_row():
    b.lend("cleveland")
    rows = together(lambda n: b.reserve(b.key()))
    assert len({row.pk for row in rows}) == 1
    rows = together(lambda n: ledger.charge(b.key()))
    assert len({row.pk for row in rows}) == 1
    assert LedgerHead.objects.get().size == 3


def test_sites_appending_at_once_leave_one_chain():
    sites = [f"site-{n}" for n in range(WRITERS)]
    for site in sites:
        b.lend(site)
    together(lambda n: b.whole_round(b.key(sites[n])))
    verdict = verify()
    assert verdict.ok, verdict.sentence()
    assert verdict.entries == 5 * WRITERS
