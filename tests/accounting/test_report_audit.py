"""The empirical audit and the attestations in the report: what the ledger holds, in words."""

import pytest
from jsonschema import Draft202012Validator

from accounting.dp.audit import Measured
from accounting.reports import parameters
from accounting.reports.build import preview
from accounting.reports.schema import schema
from accounting.reports.scopes import Scope
from accounting.services import attesting, auditing
from accounting.services.returning import give_back
from tests.accounting import world as w

pytestmark = pytest.mark.django_db


def place(sealed) -> auditing.Place:
    return auditing.Place("heart", "cleveland", "heart", sealed.study.protocol_digest)


def audited(sealed, lower: float) -> dict:
    auditing.commit(place(sealed), "a" * 64)
    w.play(sealed)
    measured = Measured(500, 250, 140, 3, 1e-5, 0.95, lower)
    result = auditing.result_json(measured, auditing.spent(place(sealed), 1e-5))
    auditing.reveal(place(sealed), coins="01" * 250, salt="b" * 64, result=result)
    return preview(Scope("heart")).document["audit"]


def checked(sealed) -> dict:
    document = preview(Scope("heart")).document
    assert [e.message for e in Draft202012Validator(schema()).iter_errors(document)] == []
    return document


def test_without_coins_it_says_so(sealed):
    assert checked(sealed)["audit"] == {
        "method": "not run",
        "meaning": "no empirical lower bound was measured in this scope",
        "runs": [],
        "together": [],
    }


def test_coins_that_are_not_revealed_yet_show_nothing(sealed):
    auditing.commit(place(sealed), "a" * 64)
    audit = checked(sealed)["audit"]
    assert audit["method"] == audit["runs"][0]["result"] == "committed, not revealed yet"
    assert audit["runs"][0]["revealed"] is None


def test_a_lower_bound_stands_beside_the_upper_one_rounded_down(sealed):
    audit = audited(sealed, 0.34567)
    (run,) = audit["runs"]
    assert run["result"].startswith("ε ≥ 0.345 at δ = 1e-05, below")
    assert (run["canaries"], run["guesses"], run["correct"]) == (500, 250, 140)
    assert float(run["lower"]) < float(run["epsilon"])
    assert "one-run audit" in audit["method"]
    checked(sealed)


def test_a_bound_above_the_ledgers_is_called_what_it_is(sealed):
    assert audited(sealed, 6.0)["runs"][0]["result"].startswith("REFUTED: ε ≥ 6.000")


def test_what_all_institutions_show_as_one_stands_beside_the_largest_epsilon(sealed):
    audited(sealed, 0.3)
    figure = auditing.spent(place(sealed), 1e-5)
    result = auditing.result_json(Measured(1000, 500, 290, 3, 1e-5, 0.95, 0.4567), figure)
    auditing.reveal_together(
        "heart", sealed.study.protocol_digest, institutions=w.SITES, result=result
    )
    (together,) = checked(sealed)["audit"]["together"]
    assert together["institutions"] == sorted(w.SITES)
    assert together["result"].startswith("ε ≥ 0.456 at δ = 1e-05, below")
    assert "the institution that spent most" in together["result"]
    assert preview(Scope(institution="cleveland")).document["audit"]["together"] == []


def test_both_figures_are_printed_and_who_answers_for_the_lower_one(sealed):
    w.play(sealed)
    (across,) = checked(sealed)["parameters"]["across_institutions"]
    assert across["attested_by"].startswith("nobody")
    one, all_ = across["if_no_person_is_at_two"], across["if_a_person_may_be_at_all"]
    assert float(one["epsilon"]) < float(all_["epsilon"])
    sealed.study.refresh_from_db()
    attesting.attest(sealed.study, "No patient was treated at both.", by=sealed.lead)
    (row,) = checked(sealed)["parameters"]["across_institutions"][0]["attested_by"]
    assert (row["name"], row["institutions"]) == ("Lena", list(w.SITES))
    (house,) = preview(Scope("heart", "zurich")).document["parameters"]["across_institutions"]
    assert house["attested_by"][0]["text"] == "No patient was treated at both."
    attesting.withdraw(sealed.study, "One was, in 2019.", by=sealed.lead)
    document = checked(sealed)
    gone = document["parameters"]["across_institutions"][0]["attested_by"]
    assert gone.startswith("nobody any longer: Lena withdrew it")
    assert document["incidents"][-1]["what"] == "disjoint withdrawn"


def test_what_was_sealed_and_never_reserved_is_returned(sealed):
    w.play(sealed)
    give_back("heart")
    parts = checked(sealed)["parameters"]["institutions"]
    assert [row["steps"] for part in parts for row in part["returned"]] == [8, 8]
    (part,) = preview(Scope(institution="zurich")).document["parameters"]["institutions"]
    assert part["committed"] == part["spent"]["shown"]


def test_a_raised_budget_names_both_people_and_the_reason(sealed):
    body = {
        "sequence": 9,
        "at": "2026-03-01T00:00:00Z",
        "institution": "zurich",
        "lineage": "heart",
        "kind": "raised",
        "epsilon": "4.0",
        "delta": "0.001",
        "reason": "a second study",
        "proposed_by": "zoe",
        "approved_by": "olga",
    }
    told = parameters.budget_row(body)
    assert (told["proposed_by"], told["approved_by"]) == ("zoe", "olga")
    assert told["reason"] == "a second study"
