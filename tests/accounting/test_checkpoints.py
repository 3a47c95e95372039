"""The hub signs its ledger's head on demand, and never two histories."""

from datetime import UTC, datetime

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from accounting.log.merkle import verify_consistency
from accounting.models import Entry, LedgerCheckpoint, LedgerHead
from accounting.selectors import tree
from accounting.services.checkpoints import LedgerRewritten, issue
from accounting.services.hub_key import hub_key
from federation.protocol.keys import verify
from studies import triggers
from studies.models import Written
from tests.accounting import builders as b

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def _history():
    b.lend("cleveland")
    b.seal()
    b.whole_round(b.key())


@pytest.mark.usefixtures("_history")
def test_a_checkpoint_is_about_the_present_head():
    word = issue(now=NOON)
    assert word.checkpoint.size == 6
    assert word.checkpoint.root == tree.root(6)
    assert word.checkpoint.at == "2026-11-21T12:00:00.000000Z"
    word.verify(hub_key().public, verify)
    assert tree.word(LedgerCheckpoint.objects.get()) == word


@pytest.mark.usefixtures("_history")
def test_nothing_new_is_signed_while_nothing_is_appended(django_assert_num_queries):
    word = issue(now=NOON)
    with django_assert_num_queries(2):
        assert issue() == word
    b.reserve(b.key(number=2))
    later = issue().checkpoint
    assert later.size == 7
    assert LedgerCheckpoint.objects.count() == 2
    proof = [bytes.fromhex(step) for step in tree.consistency(6, 7)]
    roots = [bytes.fromhex(root) for root in (word.checkpoint.root, later.root)]
    verify_consistency(6, roots[0], 7, roots[1], proof)


def test_an_empty_ledger_has_a_checkpoint_too():
    assert issue().checkpoint.size == 0


@pytest.fixture
def intruder(_history):
    issue(now=NOON)
    triggers.remove(connection, ("accounting_entry", "accounting_ledgercheckpoint"))
    return Entry.objects


def cut_to(size: int) -> None:
    """Cut the end and repair the head, as a careful forger would."""
    Entry.objects.filter(sequence__gt=size).delete()
    last, whole = Entry.objects.get(sequence=size), LedgerHead.objects.get()
    tree_then = [_subtree(level, size) for level in range(size.bit_length() - 1, -1, -1)]
    whole.size, whole.digest, whole.frontier = size, last.digest, "".join(tree_then)
    whole.save()


def _subtree(level: int, size: int) -> str:
    if not size >> level & 1:
        return ""
    end = size >> level << level
    return Entry.objects.get(sequence=end).subtrees[64 * level : 64 * (level + 1)]


def test_a_ledger_that_shrank_is_not_signed_again(intruder):
    cut_to(4)
    with pytest.raises(LedgerRewritten, match="its end was cut"):
        issue()


def test_a_ledger_that_shrank_and_grew_again_is_not_signed(intruder):
    cut_to(4)
    for number in (2, 3):
        b.reserve(b.key(number=number))
    assert LedgerHead.objects.get().size == 6
    with pytest.raises(LedgerRewritten, match="were rewritten"):
        issue()
    b.reserve(b.key(number=4))
    with pytest.raises(LedgerRewritten, match="were rewritten"):
        issue()
    assert LedgerCheckpoint.objects.count() == 1


def test_a_missing_entry_is_not_signed_over(intruder):
    intruder.filter(sequence=4).delete()
    b.reserve(b.key(number=2))
    with pytest.raises(LedgerRewritten, match="entry 4"):
        issue()


def test_a_damaged_head_is_not_signed(intruder):
    LedgerHead.objects.update(frontier="")
    with pytest.raises(ValueError, match="frontier is damaged"):
        issue()


@pytest.mark.usefixtures("_history")
def test_a_checkpoint_is_kept_as_it_was_signed():
    issue()
    row = LedgerCheckpoint.objects.get()
    row.root = "0" * 64
    with pytest.raises(Written):
        row.save()
    with pytest.raises(Written):
        row.delete()


@pytest.mark.django_db(transaction=True)
def test_a_signature_is_never_part_of_something_that_may_be_undone():
    b.lend("cleveland")
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        issue()
    assert not LedgerCheckpoint.objects.exists()


@pytest.mark.usefixtures("_history")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounting_ledgercheckpoint SET root = 'x'",
        "DELETE FROM accounting_ledgercheckpoint",
        "UPDATE accounting_entry SET subtrees = 'x'",
        "DELETE FROM accounting_entry",
    ],
)
def test_the_database_refuses_to_change_it(statement):
    issue()
    with (
        pytest.raises(Exception, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


@pytest.mark.usefixtures("_history")
def test_the_database_refuses_to_empty_or_replace():
    """The two ways round triggers on UPDATE and DELETE: each engine has one."""
    statement = {
        "postgresql": "TRUNCATE accounting_entry",
        "sqlite": "INSERT OR REPLACE INTO accounting_entry SELECT * FROM accounting_entry",
    }[connection.vendor]
    with (
        pytest.raises(Exception, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert Entry.objects.count() == 6


@pytest.mark.usefixtures("_history")
def test_the_command_signs_what_it_verified(capsys):
    call_command("verify_ledger", "--sign")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ledger verified: 6 entries")
    assert lines[1] == f"signed: 6 entries, root {tree.root(6)}"
    call_command("verify_ledger", "--hub-key", hub_key().public)
    assert "signed up to entry 6" in capsys.readouterr().out


@pytest.mark.usefixtures("_history")
def test_checkpoints_of_another_hub_do_not_verify(capsys):
    issue()
    with pytest.raises(SystemExit):
        call_command("verify_ledger", "--hub-key", "0" * 64)
    assert "is not the hub's" in capsys.readouterr().out
