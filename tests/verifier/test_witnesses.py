"""Sites' signed statements: each saw the beginning of this tree, or the bundle does not hold."""

import hashlib
import json

import pytest

from accounting.log.merkle import Frontier, leaf_hash
from federation.protocol.keys import SigningKey
from tests.verifier import bundles

pytestmark = pytest.mark.django_db
ZURICH = SigningKey.generate()


def root_at(document, size: int) -> str:
    tree = Frontier()
    for row in document["entries"][:size]:
        tree.append(leaf_hash(row["body"].encode()))
    return tree.root().hex()


def witnessed(document, size: int, root: str | None = None, **more):
    row = bundles.statement(ZURICH, "zurich", size, root or root_at(document, size), **more)
    return document | {"witnesses": [row]}


def journal_row(document, kind: str, **facts):
    """The site's own entry about its first round."""
    reserved = bundles.body(document, bundles.number_of(document, "reserved", 1))
    row = {
        "sequence": 1,
        "at": "2026-11-21T12:00:00+00:00",
        "kind": kind,
        "study": "heart",
        "round": reserved["round"],
        "attempt": reserved["attempt"],
        "phase": "train",
        "event": bundles.canonical_json(reserved["event"]),
        "tensors_digest": "c" * 64,
        "previous_digest": "0" * 64,
    }
    row |= facts
    return row | {"digest": hashlib.sha256(bundles.canonical_json(row).encode()).hexdigest()}


@pytest.mark.parametrize("size", [0, 1, 7, 20])
def test_a_site_that_saw_the_beginning_agrees(auditor, honest, size):
    code, text = auditor.run(witnessed(honest, size), "--site", f"zurich={ZURICH.public}")
    assert code == 0, text
    assert f"✓ witnesses                zurich ({size} entries)" in text
    assert "taken from the bundle: ask" not in text


def test_keys_that_nobody_pinned_are_said(auditor, honest):
    assert "the keys of zurich are taken from the bundle" in auditor.run(witnessed(honest, 7))[1]


def test_a_pinned_key_unmasks_a_false_witness(auditor, honest):
    other = SigningKey.generate().public
    found = auditor.wrong(witnessed(honest, 7), "--site", f"zurich={other}")
    assert "not by the key you gave" in found["witnesses"][1]


def test_a_site_that_saw_another_history_proves_a_fork(auditor, honest):
    found = auditor.wrong(witnessed(honest, 7, "a" * 64))
    assert "zurich: it saw another history" in found["witnesses"][1]


def test_a_site_that_saw_more_proves_a_cut(auditor, honest):
    found = auditor.wrong(witnessed(honest, 21, "a" * 64))
    assert "the ledger was cut" in found["witnesses"][1]


def test_a_rewritten_history_is_caught_by_its_witness(auditor, honest):
    witness = witnessed(honest, 20)["witnesses"]
    number = bundles.number_of(honest, "lost")
    forged = bundles.changed(honest, number, reason="it never answered")
    assert auditor.wrong(forged) == {}  # the hub alone could tell this story
    assert set(auditor.wrong(forged | {"witnesses": witness})) == {"witnesses"}


def test_every_byte_of_a_statement_counts(auditor, honest):
    text = witnessed(honest, 7)["witnesses"][0]["envelope"]
    for at in range(0, len(text), 41):
        row = {"institution": "zurich", "key": ZURICH.public}
        changed = text[:at] + ("b" if text[at] == "a" else "a") + text[at + 1 :]
        found = auditor.wrong(honest | {"witnesses": [row | {"envelope": changed}]})
        assert "witnesses" in found, changed


def test_a_statement_of_another_house_is_refused(auditor, honest):
    document = witnessed(honest, 7)
    document["witnesses"][0]["institution"] = "cleveland"
    assert "no statement of this institution" in auditor.wrong(document)["witnesses"][1]


def test_a_part_compares_with_the_checkpoints_that_it_holds(auditor, db):
    bundles.played()
    complete, document = bundles.whole(), bundles.part()
    known = document["checkpoints"][0]["size"]
    code, text = auditor.run(witnessed(document, known, root_at(complete, known)))
    assert (code, f"zurich ({known} entries)" in text) == (0, True)
    assert "witnesses" in auditor.wrong(witnessed(document, known, "a" * 64))
    assert "not comparable in a part" in auditor.run(witnessed(document, known + 1, "a" * 64))[1]


def test_the_sites_journal_agrees_with_the_ledger(auditor, honest):
    rows = [journal_row(honest, "charged")]
    assert auditor.wrong(witnessed(honest, 7, entries=rows)) == {}


@pytest.mark.parametrize(
    ("kind", "facts", "what"),
    [
        ("charged", {"event": '{"steps":9}'}, "charged another event"),
        ("released", {"tensors_digest": "d" * 64}, "released something else"),
    ],
)
def test_a_contradiction_between_both_books_is_found(auditor, honest, kind, facts, what):
    rows = [journal_row(honest, kind, **facts)]
    assert what in auditor.wrong(witnessed(honest, 7, entries=rows))["witnesses"][1]


def test_a_changed_journal_is_found(auditor, honest):
    row = journal_row(honest, "charged") | {"round": 2}
    found = auditor.wrong(witnessed(honest, 7, entries=[row]))
    assert "entry 1 of the site's journal was changed" in found["witnesses"][1]


def test_a_journal_with_a_gap_is_found(auditor, honest):
    rows = [journal_row(honest, "charged"), journal_row(honest, "released", sequence=3)]
    found = auditor.wrong(witnessed(honest, 7, entries=rows))
    assert "does not follow the one before it" in found["witnesses"][1]


def test_malformed_pins_are_refused(auditor, honest):
    code, text = auditor.run(honest, "--site", "zurich")
    assert (code, "--site zurich: " in text) == (2, True)


def test_an_envelope_that_holds_no_message(auditor, honest):
    row = {"institution": "zurich", "key": ZURICH.public, "envelope": json.dumps([1])}
    assert "has not its form" in auditor.wrong(honest | {"witnesses": [row]})["witnesses"][1]
