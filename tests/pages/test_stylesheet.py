"""The stylesheet's rules belong to the selectors above them."""

import re
from pathlib import Path

SHEET = Path(__file__).parents[2] / "static" / "css" / "cloister.css"


def test_no_rule_was_put_into_another_rules_list_of_selectors():
    """Forms below a list lost their padding when one was: it took half of the list along."""
    assert re.findall(r",\s*/\*", SHEET.read_text()) == []
