"""What is reserved and not begun: a running sum that each move keeps, and verification compares."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounting.models import DatasetBudget, Entry, SpentSteps
from accounting.selectors import spending
from accounting.services import ledger
from accounting.services.ledger import Move
from accounting.services.verification import verify
from tests.accounting import builders as b
from tests.accounting import world

pytestmark = pytest.mark.django_db
WORD = {"evidence": "e" * 64}
ENDINGS = (
    (),
    (("charged", {}),),
    (("lost", {"reason": "late"}),),
    (("refused", {"reason": "unfit"}),),
    (("aborted", {"reason": "never taken"}),),
    (("charged", {}), ("lost", {"reason": "late"})),
    (("charged", {}), ("refused", {"reason": "unfit"})),
    (("charged", {}), ("aborted", {"reason": "nothing read", **WORD})),
    (("charged", {}), ("released", {"tensors_digest": "c" * 64})),
)


def waiting() -> int:
    return sum(SpentSteps.objects.values_list("waiting", flat=True))


def rows_waiting() -> int:
    """The same, asked of every row: the definition."""
    place = ("study", "institution", "round", "attempt", "phase")
    begun = set(Entry.objects.exclude(kind="reserved").values_list(*place))
    rows = Entry.objects.filter(kind="reserved").values_list(*place, "steps")
    return sum(steps for *where, steps in rows if tuple(where) not in begun)


@pytest.mark.parametrize("ending", ENDINGS)
def test_each_ending_counts_once(ending):
    b.lend("cleveland", epsilon="9.0")
    b.reserve(b.key())
    assert waiting() == b.TRAIN.steps
    for kind, facts in ending:
        ledger.record([Move(b.key(), kind, facts)])
        ledger.record([Move(b.key(), kind, facts)])  # told again: nothing is written
    assert waiting() == (0 if ending else b.TRAIN.steps)
    assert verify().ok


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(ENDINGS), min_size=1, max_size=6), st.booleans())
def test_any_mixture_agrees_with_the_rows(endings, together):
    start = Entry.objects.count()
    attempt = start + 1
    if not start:
        b.lend("cleveland", epsilon="90.0")
    keys = [b.key(number=n, attempt=attempt) for n in range(1, len(endings) + 1)]
    wide = ledger.Limit(80.0, 1e-3)
    ledger.reserve_all([b.reservation(key, b.EVALUATE, wide) for key in keys])
    moves = [Move(k, *step) for k, ending in zip(keys, endings, strict=True) for step in ending]
    for batch in [moves] if together else [[move] for move in moves]:
        ledger.record(batch)
    assert waiting() == rows_waiting()
    assert verify().ok


def test_a_waiting_sum_that_was_changed_is_found():
    b.lend("cleveland")
    b.reserve(b.key())
    SpentSteps.objects.update(waiting=0)
    assert "reserved and has not begun of heart at cleveland is off by -8" in verify().problem


def test_a_ledger_from_before_is_filled_in():
    found = world.build()
    world.play(found)
    b.reserve(b.key("zurich", 4), limit=world.BUDGET, protocol=found.study.protocol_digest)
    SpentSteps.objects.update(waiting=0)
    migration = import_module("accounting.migrations.0012_waiting_steps")
    migration.fill(apps, SimpleNamespace(connection=connection))
    assert waiting() == rows_waiting() == b.TRAIN.steps
    assert verify().ok


def test_a_page_of_budgets_reads_no_row_of_the_ledger(django_assert_num_queries):
    """However long the ledger is: of the entries only the sealed plans are looked for."""
    world.play(world.build())
    budgets = list(DatasetBudget.objects.all())
    spending.remaining_all(budgets)  # plans are remembered
    with django_assert_num_queries(4) as asked:  # and what no journal's charge may leave open
        spending.remaining_all(budgets)
    about = [q["sql"] for q in asked if "accounting_entry" in q["sql"]]
    assert all("kind = 'sealed'" in sql for sql in about)
