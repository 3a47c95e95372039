"""The tree as it is stored: every entry is proved in, every growth is proved, from few queries."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from accounting.log import merkle
from accounting.log.merkle import leaf_hash
from accounting.models import Entry, LedgerHead, SpentSteps
from accounting.selectors import tree
from accounting.services import rows
from studies import triggers
from tests.accounting import builders as b
from tests.accounting import moves

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _history():
    """15 entries."""
    b.lend("cleveland")
    b.seal()
    for number in (1, 2, 3):
        b.whole_round(b.key(number=number))
    b.reserve(b.key(number=4))


def leaves() -> list[bytes]:
    return [leaf_hash(body.encode()) for body in Entry.objects.values_list("body", flat=True)]


def test_the_head_knows_the_root_of_all_entries():
    head = LedgerHead.objects.get()
    assert head.size == 15
    assert rows.frontier(head).root() == merkle.root(leaves())


def test_each_entry_stores_the_subtrees_that_end_at_it():
    for entry in Entry.objects.all():
        stored = rows.hashes(entry.subtrees)
        ends = entry.sequence & -entry.sequence  # the largest power of two that divides it
        assert len(stored) == ends.bit_length()
        for level, found in enumerate(stored):
            last = entry.sequence
            assert found == merkle.root(leaves()[last - (1 << level) : last])


def test_every_size_has_its_root():
    for size in range(16):
        assert tree.root(size) == merkle.root(leaves()[:size]).hex()


def test_every_entry_is_proved_in_every_tree_that_holds_it():
    for size in (1, 7, 8, 15):
        for sequence, proof in tree.inclusions(range(1, size + 1), size).items():
            assert proof == tree.inclusion(sequence, size)
            merkle.verify_inclusion(
                leaves()[sequence - 1],
                sequence - 1,
                size,
                [bytes.fromhex(step) for step in proof],
                merkle.root(leaves()[:size]),
            )


def test_every_growth_is_proved():
    for old in range(16):
        proof = [bytes.fromhex(step) for step in tree.consistency(old, 15)]
        roots = [bytes.fromhex(tree.root(size)) for size in (old, 15)]
        merkle.verify_consistency(old, roots[0], 15, roots[1], proof)


def test_a_proof_is_one_query(django_assert_num_queries):
    with django_assert_num_queries(1):
        tree.consistency(6, 15)
    with django_assert_num_queries(1):
        tree.inclusions(range(1, 16), 15)


def test_an_entry_that_is_missing_is_said():
    triggers.remove(connection, ("accounting_entry",))
    Entry.objects.filter(sequence=8).delete()
    with pytest.raises(tree.Damaged, match="entry 8 or its Merkle subtree"):
        tree.root(15)


def test_a_ledger_from_before_the_tree_is_filled_in():
    """What the migration does to rows that were written without subtrees and sums."""
    moves.abort(b.key(number=4), "never taken")
    before = list(Entry.objects.values_list("sequence", "subtrees"))
    head, sums = LedgerHead.objects.get(), sorted(spent())
    triggers.remove(connection, ("accounting_entry",))
    Entry.objects.update(subtrees="")
    LedgerHead.objects.update(frontier="")
    SpentSteps.objects.all().delete()
    migration = import_module("accounting.migrations.0006_merkle_tree")
    migration.fill(apps, SimpleNamespace(connection=connection))
    assert list(Entry.objects.values_list("sequence", "subtrees")) == before
    assert LedgerHead.objects.get().frontier == head.frontier
    assert sorted(spent()) == sums


def spent():
    return SpentSteps.objects.exclude(steps=0).values_list("study", "noise_multiplier", "steps")


def test_the_sums_follow_the_entries():
    assert [row.steps for row in SpentSteps.objects.all()] == [32]
    moves.abort(b.key(number=4), "never taken")
    assert [row.steps for row in SpentSteps.objects.all()] == [24]
    b.reserve(b.key(number=4, attempt=2), event=b.EVALUATE)
    assert sorted(row.steps for row in SpentSteps.objects.all()) == [1, 24]
