"""Somebody with the whole database, but not the hub's key: what each change leads to."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from accounting.log.checkpoints import Checkpoint, origin, signed
from accounting.log.merkle import ProofError, verify_consistency
from accounting.models import Entry, LedgerCheckpoint, LedgerHead, SpentSteps
from accounting.selectors import tree
from accounting.services import ledger
from accounting.services.checkpoints import issue
from accounting.services.verification import verify
from federation.protocol.keys import SigningKey
from tests.accounting import builders as b
from tests.accounting import forging, moves

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _signed_history():
    """6 entries, a checkpoint, 4 more and another checkpoint."""
    b.lend("cleveland")
    b.seal()
    b.whole_round(b.key(number=1))
    issue()
    b.whole_round(b.key(number=2))
    issue()
    assert verify().checkpoint == 10


@pytest.fixture
def _intruder():
    forging.unguard()


def test_an_honest_ledger_is_signed_up_to_its_last_checkpoint():
    b.reserve(b.key(number=3))
    verdict = verify()
    assert (verdict.ok, verdict.entries, verdict.checkpoint) == (True, 11, 10)
    assert verdict.root == tree.root(11)
    assert "signed up to entry 10" in verdict.sentence()


@pytest.fixture
def _forked(_intruder):
    """Another history, chained, hashed, summed and headed without a flaw."""
    forging.cut(6)
    b.reserve(b.key(number=2))
    moves.lose(b.key(number=2), "no answer")
    for number in (3, 4):
        b.whole_round(b.key(number=number))


@pytest.mark.usefixtures("_forked")
def test_the_checkpoint_tells_which_entries_were_rewritten():
    verdict = verify()
    assert (verdict.ok, verdict.first_wrong) == (False, None)
    assert "entries 7 to 10 are not those that were signed at 10" in verdict.problem
    assert (verdict.entries, verdict.checkpoint) == (6, 6)


@pytest.mark.usefixtures("_forked")
def test_no_proof_leads_from_the_one_to_the_other():
    seen = LedgerCheckpoint.objects.get(size=10)
    proof = [bytes.fromhex(step) for step in tree.consistency(10, 16)]
    with pytest.raises(ProofError):
        verify_consistency(10, bytes.fromhex(seen.root), 16, bytes.fromhex(tree.root(16)), proof)


@pytest.mark.usefixtures("_forked")
def test_a_checkpoint_that_the_forger_changes_loses_its_signature():
    forging_word(root=tree.root(10))
    assert "the checkpoint of 10 entries is not the hub's" in verify().problem


@pytest.mark.usefixtures("_forked")
def test_a_key_of_the_forgers_own_is_not_the_hubs():
    key = SigningKey.generate()
    note = Checkpoint(origin(key.public), 10, tree.root(10), "2026-11-21T12:00:00Z")
    word = signed(note, key)
    forging_word(root=note.root, at=note.at, key=word.key, signature=word.signature)
    assert "is not the hub's" in verify().problem


@pytest.mark.usefixtures("_forked")
def test_without_the_checkpoints_only_the_sites_can_tell():
    """What remains possible here: why every site keeps the last checkpoint it saw."""
    LedgerCheckpoint.objects.all()._raw_delete("default")
    assert verify().ok


def forging_word(**changes) -> None:
    with connection.cursor() as cursor:
        for name, value in changes.items():
            cursor.execute(
                f"UPDATE accounting_ledgercheckpoint SET {name} = %s WHERE size = 10",  # noqa: S608
                [value],
            )


@pytest.mark.usefixtures("_intruder")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("root", "0" * 64),
        ("root", "no root"),
        ("at", "2026-11-21T12:00:00.000001Z"),
        ("key", "0" * 64),
        ("signature", "A" * 86 + "=="),
        ("signature", "?"),
        ("size", 9),
        ("size", 11),
    ],
)
def test_every_column_of_a_checkpoint_counts(name, value):
    forging_word(**{name: value}) if name != "size" else resize(value)
    verdict = verify()
    assert not verdict.ok
    assert "checkpoint" in verdict.problem


def resize(size: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounting_ledgercheckpoint SET size = %s WHERE size = 10", [size])


@pytest.mark.usefixtures("_intruder")
def test_an_old_checkpoint_does_not_pass_for_a_new_one():
    old = LedgerCheckpoint.objects.get(size=6)
    forging_word(root=old.root, at=old.at, signature=old.signature)
    assert "the checkpoint of 10 entries is not the hub's" in verify().problem
    new = LedgerCheckpoint.objects.get(size=10)
    with pytest.raises(ProofError, match="shrank from 10 to 6"):
        verify_consistency(10, bytes.fromhex(new.root), 6, bytes.fromhex(old.root), [])


@pytest.mark.parametrize("size", range(10))
@pytest.mark.usefixtures("_intruder")
def test_a_ledger_cut_to_any_length_is_shorter_than_what_was_signed(size):
    Entry.objects.filter(sequence__gt=size).delete()
    assert not verify().ok
    forging.rehash()
    verdict = verify()
    assert (verdict.ok, verdict.first_wrong) == (False, None)
    assert "was signed, the ledger has" in verdict.problem


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"size": 9}, "the head says 9 entries"),
        ({"size": 11}, "its end was cut"),
        ({"digest": "0" * 64}, "the head's digest"),
        ({"frontier": ""}, "the head's Merkle subtrees"),
        ({"frontier": "0" * 128}, "the head's Merkle subtrees"),
    ],
)
def test_a_forged_head_is_found(change, problem):
    LedgerHead.objects.update(**change)
    verdict = verify()
    assert (verdict.ok, verdict.first_wrong, verdict.entries) == (False, None, 10)
    assert problem in verdict.problem


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 8},
        {"steps": 0},
        {"study": "another"},
        {"lineage": "another"},
        {"institution": "zurich"},
        {"noise_multiplier": "9.0"},
        {"sample_rate": "0.01"},
        {"rows_per_unit": 2},
        {"unit": "row"},
    ],
)
def test_a_running_sum_that_was_changed_is_found(change):
    SpentSteps.objects.update(**change)
    assert "the running sum of what" in verify().problem


def test_a_running_sum_that_was_dropped_or_added_is_found():
    row = SpentSteps.objects.get()
    row.delete()
    assert "is off by -16 steps" in verify().problem
    row.pk = None
    row.save()
    assert verify().ok
    row.pk, row.study = None, "invented"
    row.save()
    assert "what invented spent of heart at cleveland is off by 16" in verify().problem


def test_the_clock_may_run_backwards():
    """Order is the sequence's; a time is only what the hub's clock said."""
    early = datetime(2020, 1, 1, tzinfo=UTC)
    for number in (3, 4):
        ledger.reserve_all([b.reservation(b.key(number=number))], now=early)
        early -= timedelta(days=1)
    word = issue(now=early)
    assert word.checkpoint.at.startswith("2019-12-30")
    verdict = verify()
    assert (verdict.ok, verdict.checkpoint) == (True, 12)


def test_a_full_disk_leaves_the_ledger_as_it_was():
    if connection.vendor == "sqlite":
        _fill_sqlite()
    else:
        _fill_postgresql()
    assert verify().ok
    assert LedgerHead.objects.get().size == 10
    b.reserve(b.key(number=3))
    assert verify().entries == 11


def _fill_sqlite() -> None:
    """A limit on the file's pages is what SQLite answers SQLITE_FULL for."""
    with connection.cursor() as cursor:
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages}")
    try:
        with pytest.raises(DatabaseError, match="full"), transaction.atomic():
            _write_much()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA max_page_count = 1073741823")


def _write_much() -> None:
    for number in range(3, 300):
        b.reserve(b.key(number=number), limit=b.Limit(99.0, 1e-3))


def _fill_postgresql() -> None:
    """The nearest that a server without a small disk can do: the write itself fails half-way."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'could not extend file: No space left' USING ERRCODE = '53100'; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER full_disk BEFORE UPDATE ON accounting_ledgerhead "
            "FOR EACH ROW EXECUTE FUNCTION full_disk()"
        )
    with pytest.raises(DatabaseError, match="No space left"), transaction.atomic():
        b.reserve(b.key(number=3))
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER full_disk ON accounting_ledgerhead")
