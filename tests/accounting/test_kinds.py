"""Every kind of ledger row is explained where people read it: on its page and in the document."""

from pathlib import Path

import pytest

from accounting.models import EntryKind
from accounting.selectors.overview import OUTCOMES
from accounting.transitions import KEYED

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "accounting.md"


def test_each_has_a_meaning_on_the_ledgers_page() -> None:
    assert set(OUTCOMES) == set(EntryKind)
    assert all(OUTCOMES.values())


@pytest.mark.parametrize("kind", sorted(set(EntryKind) - set(KEYED)))
def test_each_that_is_about_no_deed_has_its_fields_in_the_document(kind: str) -> None:
    table = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    assert any(f"`{kind}`" in line.split("|")[1] for line in table)
