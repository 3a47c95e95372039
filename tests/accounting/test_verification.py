"""Verification: an honest ledger passes, and every kind of tampering is found and placed."""

import json

import pytest
from django.core.management import call_command

from accounting.canonical import canonical_json
from accounting.models import DatasetBudget, Entry
from accounting.services.checkpoints import issue
from accounting.services.verification import verify
from tests.accounting import builders as b
from tests.accounting import forging, moves

pytestmark = pytest.mark.django_db
COLUMNS = [
    "sequence",
    "kind",
    "study",
    "institution",
    "lineage",
    "round",
    "attempt",
    "phase",
    "noise_multiplier",
    "sample_rate",
    "rows_per_unit",
    "steps",
    "idempotency_key",
    "body",
    "previous_digest",
    "digest",
    "subtrees",
]


@pytest.fixture(autouse=True)
def _history():
    """14 entries: lent, sealed, two whole rounds, one aborted and one lost."""
    b.lend("cleveland")
    b.seal()
    b.whole_round(b.key(number=1))
    b.reserve(b.key(number=2))
    moves.abort(b.key(number=2), "never taken")
    b.whole_round(b.key(number=2, attempt=2))
    b.reserve(b.key(number=3))
    moves.lose(b.key(number=3), "no answer before the deadline")


@pytest.fixture
def intruder():
    """A person with full access to the database, who can drop triggers."""
    forging.unguard()
    return Entry.objects


def test_an_honest_ledger_verifies():
    verdict = verify()
    assert verdict.ok, verdict.sentence()
    assert verdict.entries == 14
    assert verdict.sentence().startswith("ledger verified: 14 entries")


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("sequence", [2, 3, 8])
def test_a_change_in_any_column_is_placed(intruder, column, sequence):
    row = intruder.get(sequence=sequence)
    value = getattr(row, column)
    changed = value + 100 if isinstance(value, int) else flipped(value)
    intruder.filter(pk=row.pk).update(**{column: changed})
    verdict = verify()
    assert not verdict.ok
    assert verdict.first_wrong == sequence


def flipped(text: str) -> str:
    """The same text with one bit of its middle character changed, or one character more."""
    if not text:
        return "x"
    middle = len(text) // 2
    return text[:middle] + chr(ord(text[middle]) ^ 1) + text[middle + 1 :]


def test_every_byte_of_a_body_counts(intruder):
    row = intruder.get(sequence=4)
    for place in range(0, len(row.body), 7):
        text = row.body[:place] + chr(ord(row.body[place]) ^ 1) + row.body[place + 1 :]
        intruder.filter(pk=row.pk).update(body=text)
        assert verify().first_wrong == 4


def test_a_deleted_row_is_missed(intruder):
    intruder.filter(sequence=5).delete()
    assert verify().first_wrong == 5
    assert "rows are missing" in verify().problem


def test_two_swapped_rows_are_found(intruder):
    one, two = intruder.get(sequence=5), intruder.get(sequence=6)
    intruder.filter(pk=one.pk).update(sequence=999)
    intruder.filter(pk=two.pk).update(sequence=5)
    intruder.filter(pk=one.pk).update(sequence=6)
    assert verify().first_wrong == 5


def test_a_cut_end_is_found_by_the_head(intruder):
    intruder.filter(sequence__gt=12).delete()
    verdict = verify()
    assert (verdict.ok, verdict.first_wrong) == (False, None)
    assert "its end was cut" in verdict.problem


@pytest.mark.usefixtures("intruder")
def test_a_cut_end_with_a_forged_head_is_found_by_the_checkpoint():
    """Cut before the next signature, it leaves a consistent shorter ledger: the sites tell."""
    issue()
    forging.cut(12)
    verdict = verify()
    assert (verdict.ok, verdict.first_wrong) == (False, None)
    assert "a checkpoint of 14 entries was signed, the ledger has 12" in verdict.problem


@pytest.mark.usefixtures("intruder")
@pytest.mark.parametrize(
    ("sequence", "change", "problem"),
    [
        (3, lambda body: body["figure"].update(epsilon="0.1"), "its events cost ε = 0.39"),
        (3, lambda body: body["event"].update(noise_multiplier="9.0"), "ε"),
        (3, lambda body: body["checks"][0].update(limit="0.1"), "expected pld"),
        (3, lambda body: body["checks"][0].update(body["figure"], limit="0.1"), "been refused"),
        (3, lambda body: body["checks"][0].update(epsilon="0.1"), "its events cost"),
        (3, lambda body: body["checks"][0].update(accountant="pld"), "its ε is by pld"),
        (3, lambda body: body["checks"][0].update(delta="0.1"), "different δ"),
        (3, lambda body: body["checks"][1].update(limit="30.0"), "lifetime budget was"),
        (3, lambda body: body.update(sealed=False), "sealed"),
        (4, lambda body: body.update(kind="released"), "idempotency key"),
        (2, lambda body: body["figure"].update(epsilon="0.8"), "its events cost ε = 0.81"),
        (9, lambda body: body["event"].update(unit="row"), "per row with costs per patient"),
        (8, lambda body: body["event"].update(steps=80), "gives back another event"),
        (1, lambda body: body.update(epsilon="9.0"), "above the site's cap"),
    ],
)
def test_a_forged_body_in_a_rehashed_chain_is_found(sequence, change, problem):
    forging.forge(sequence, change)
    verdict = verify()
    assert verdict.first_wrong == sequence, verdict.sentence()
    assert problem in verdict.problem


def test_reordered_and_rehashed_rows_break_the_transitions(intruder):
    one, two = intruder.get(sequence=3), intruder.get(sequence=4)
    bodies = json.loads(one.body), json.loads(two.body)
    bodies[0]["sequence"], bodies[1]["sequence"] = 4, 3
    intruder.filter(pk=one.pk).update(sequence=999)
    for row, body in ((two, bodies[1]), (one, bodies[0])):
        intruder.filter(pk=row.pk).update(sequence=body["sequence"], body=canonical_json(body))
    forging.rehash()
    verdict = verify()
    assert verdict.first_wrong == 3
    assert "is not in the ledger and cannot become charged" in verdict.problem


def test_a_budget_that_was_raised_behind_the_ledgers_back_is_found():
    DatasetBudget.objects.update(epsilon="100.0")
    assert "lifetime budget of heart at cleveland" in verify().problem


def test_the_command_says_it_in_one_sentence(capsys):
    call_command("verify_ledger")
    assert capsys.readouterr().out.startswith("ledger verified: 14 entries")


def test_the_command_names_the_first_wrong_entry_and_fails(intruder, capsys):
    intruder.filter(sequence=9).update(institution="elsewhere")
    with pytest.raises(SystemExit) as stop:
        call_command("verify_ledger", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert stop.value.code == 1
    assert (answer["ok"], answer["first_wrong"]) == (False, 9)
