"""Whoever changes one byte of a ledger of a thousand rows is found, at that row."""

from dataclasses import replace

import pytest
from django.db import transaction

from accounting.log.merkle import Frontier
from accounting.services import ledger
from accounting.services.chain import Chain, Row, stored
from accounting.services.ledger import Move
from accounting.services.replay import Wrong
from tests.accounting import builders as b

SITES = [f"house-{number}" for number in range(56)]
TEXTS = [name for name in Row._fields if Row.__annotations__[name] is str]
NUMBERS = [name for name in Row._fields if Row.__annotations__[name] is int]


@pytest.fixture(scope="module")
def rows(django_db_setup, django_db_blocker) -> list[Row]:
    """1008 rows: 56 sites lend and seal and take part in four whole rounds."""
    with django_db_blocker.unblock(), transaction.atomic():
        for site in SITES:
            b.lend(site)
            b.seal(site)
        for number in range(1, 5):
            keys = [b.key(site, number) for site in SITES]
            ledger.reserve_all([b.reservation(key) for key in keys])
            journal = {"journal": {"sequence": number, "digest": "b" * 64}}
            for kind, facts in (
                ("charged", journal),
                ("released", {"tensors_digest": "c" * 64}),
                ("acknowledged", {"model_digest": "d" * 64}),
            ):
                ledger.record([Move(key, kind, facts) for key in keys])
        found = list(stored())
        transaction.set_rollback(True)
    assert len(found) == 1008
    return found


@pytest.fixture(scope="module")
def chains(rows) -> list[Chain]:
    """The chain before each row, and the one after the last."""
    chain, found = Chain(), [Chain()]
    for row in rows:
        chain, _ = chain.after(row)
        found.append(chain)
    return found


def refused(chain: Chain, row: Row) -> bool:
    try:
        chain.after(row)
    except Wrong:
        return True
    return False


def flips(text: str):
    """The text with one bit of each of its bytes changed; every bit below 128 has its turn."""
    for place, character in enumerate(text):
        yield text[:place] + chr(ord(character) ^ 1 << place % 7) + text[place + 1 :]


@pytest.mark.parametrize("column", TEXTS)
def test_every_byte_of_every_text_counts(rows, chains, column):
    for chain, row in zip(chains, rows, strict=False):
        for changed in flips(getattr(row, column)):
            assert refused(chain, row._replace(**{column: changed})), (row.sequence, changed)


@pytest.mark.parametrize("column", NUMBERS)
def test_every_byte_of_every_number_counts(rows, chains, column):
    for chain, row in zip(chains, rows, strict=False):
        for byte in range(8):
            changed = getattr(row, column) ^ (1 << 8 * byte + row.sequence % 8)
            assert refused(chain, row._replace(**{column: changed}))


def test_text_before_after_and_instead_counts(rows, chains):
    for chain, row in zip(chains, rows, strict=False):
        for column in TEXTS:
            text = getattr(row, column)
            for changed in {"", text + " ", text + text, " " + text, text[:-1]} - {text}:
                assert refused(chain, row._replace(**{column: changed})), (row.sequence, column)


def test_a_row_that_is_missing_or_moved_is_found_wherever_it_stood(rows, chains):
    for place in range(len(rows) - 1):
        assert refused(chains[place], rows[place + 1])
        assert refused(chains[place], rows[place + 1]._replace(sequence=place + 1))
        assert refused(chains[place + 1], rows[place])


def test_a_row_of_another_ledger_is_refused(rows, chains):
    """Renumbered and chained by hand: its body still says where it stood."""
    for place in range(0, len(rows) - 1, 7):
        stolen = rows[place + 1]._replace(sequence=place + 1, previous_digest=chains[place].digest)
        assert refused(chains[place], stolen)


def test_a_tree_of_other_entries_does_not_pass(rows, chains):
    for place in range(1, len(rows), 9):
        other = Frontier(place, [bytes(32)] * place.bit_count())
        row = rows[place]
        if len(row.subtrees) > 64:
            assert refused(replace(chains[place], tree=other), row)
