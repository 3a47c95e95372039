"""The empirical audit and the attestations in the report: what the ledger holds, in words."""

import pytest
from django.db import transaction
from django.utils import timezone
from jsonschema import Draft202012Validator

from accounting.dp.audit import Measured
from accounting.reports.build import preview
from accounting.reports.schema import schema
from accounting.reports.scopes import Scope
from accounting.services import auditing, rows
from accounting.services.returning import give_back
from tests.accounting import world as w

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    return w.build()


def place(world) -> auditing.Place:
    return auditing.Place("heart", "cleveland", "heart", world.study.protocol_digest)


def audited(world, lower: float) -> dict:
    auditing.commit(place(world), "a" * 64)
    w.play(world)
    measured = Measured(500, 250, 140, 3, 1e-5, 0.95, lower)
    result = auditing.result_json(measured, auditing.spent(place(world), 1e-5))
    auditing.reveal(place(world), coins="01" * 250, salt="b" * 64, result=result)
    return preview(Scope("heart")).document["audit"]


def checked(world) -> dict:
    document = preview(Scope("heart")).document
    assert [e.message for e in Draft202012Validator(schema()).iter_errors(document)] == []
    return document


def test_without_coins_it_says_so(world):
    assert checked(world)["audit"] == {
        "method": "not run",
        "meaning": "no empirical lower bound was measured in this scope",
        "runs": [],
    }


def test_coins_that_are_not_revealed_yet_show_nothing(world):
    auditing.commit(place(world), "a" * 64)
    audit = checked(world)["audit"]
    assert audit["method"] == audit["runs"][0]["result"] == "committed, not revealed yet"
    assert audit["runs"][0]["revealed"] is None


def test_a_lower_bound_stands_beside_the_upper_one_rounded_down(world):
    audit = audited(world, 0.34567)
    (run,) = audit["runs"]
    assert run["result"].startswith("ε ≥ 0.345 at δ = 1e-05, below")
    assert (run["canaries"], run["guesses"], run["correct"]) == (500, 250, 140)
    assert float(run["lower"]) < float(run["epsilon"])
    assert "one-run audit" in audit["method"]
    checked(world)


def test_a_bound_above_the_ledgers_is_called_what_it_is(world):
    assert audited(world, 6.0)["runs"][0]["result"].startswith("REFUTED: ε ≥ 6.000")


def attested(world) -> None:
    facts = {"text": "No patient was treated at both.", "by": "olga", "name": "Olga"}
    facts |= {"institutions": list(w.SITES), "protocol_digest": world.study.protocol_digest}
    key = f"heart//attested/{world.study.protocol_digest}"
    with transaction.atomic():
        draft = rows.Draft("attested", key, "heart", "", "", facts=facts)
        rows.append(rows.lock(), [draft], timezone.now())


def test_both_figures_are_printed_and_who_answers_for_the_lower_one(world):
    w.play(world)
    across = checked(world)["parameters"]["across_institutions"]
    assert across["attested_by"].startswith("nobody")
    one, all_ = across["if_no_person_is_at_two"], across["if_a_person_may_be_at_all"]
    assert float(one["epsilon"]) < float(all_["epsilon"])
    attested(world)
    (row,) = checked(world)["parameters"]["across_institutions"]["attested_by"]
    assert (row["name"], row["institutions"]) == ("Olga", list(w.SITES))
    house = preview(Scope("heart", "zurich")).document["parameters"]["across_institutions"]
    assert house["attested_by"][0]["text"] == "No patient was treated at both."


def test_what_was_sealed_and_never_reserved_is_returned(world):
    w.play(world)
    give_back("heart")
    parts = checked(world)["parameters"]["institutions"]
    assert [row["steps"] for part in parts for row in part["returned"]] == [8, 8]
    (part,) = preview(Scope(institution="zurich")).document["parameters"]["institutions"]
    assert part["committed"] == part["spent"]["shown"]
