"""The words around numbers: none, one, many; units as people say them."""

import pytest

from accounting.dp.doubts import Terms, doubts
from accounting.reports import wording
from accounting.reports.forms import ScopeForm
from studies.models import Person


@pytest.mark.parametrize(
    ("steps", "rows", "said"),
    [
        (0, 0, "nothing"),
        (0, 4, "nothing: every sealed step had been reserved"),
        (1, 1, "1 sealed step never reserved, in 1 ledger row"),
        (12, 4, "12 sealed steps never reserved, in 4 ledger rows"),
    ],
)
def test_what_was_given_back(steps, rows, said):
    assert wording.given_back(steps, rows) == said


@pytest.mark.parametrize(
    ("unit", "cap", "said"),
    [
        ("row", 1, "one row of data"),
        ("patient", 1, "one patient, at most 1 row each"),
        ("patient", 3, "one patient, at most 3 rows each"),
        ("patient and row", 3, "one patient and one row of data, at most 3 rows each"),
        ("none yet", 1, "none yet"),
    ],
)
def test_the_unit_in_words(unit, cap, said):
    assert wording.unit_with_cap(unit, cap) == said


@pytest.mark.django_db
def test_every_choice_of_unit_says_of_what():
    choices = dict(ScopeForm(person=Person.objects.create(username="x")).fields["unit"].choices)
    assert choices[""] == "Patients and rows"
    assert "All" not in choices.values()


def test_a_large_delta_is_doubted_in_a_whole_sentence():
    (doubt,) = doubts(Terms(0.2, 0.5, (30,)))
    told = f"{doubt.title} {doubt.text}."
    assert told.startswith("δ is 0.2: choose one well below 1/30, ")
    assert "even publishing somebody's row as it is would keep the promise" in told
