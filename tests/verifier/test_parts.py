"""A part of the ledger: each entry is proved to be in the signed tree, and judged by itself."""

import json

import pytest

from tests.verifier import bundles

pytestmark = pytest.mark.django_db


@pytest.fixture
def part(db):
    bundles.played()
    return bundles.part()


def test_it_begins_and_ends_anywhere(auditor, part):
    assert part["entries"][0]["sequence"] > 1
    part["entries"] = part["entries"][:9]
    code, text = auditor.run(part)
    assert code == 0, text


def test_a_changed_entry_is_not_in_the_tree(auditor, part):
    row = part["entries"][4]
    row["body"] = row["body"].replace('"attempt":1', '"attempt":2')
    found = auditor.wrong(part)
    assert found["tree"][0] == found["digests"][0] == row["sequence"]


def test_an_entry_hashed_anew_is_not_in_the_tree_either(auditor, part):
    row = part["entries"][-1]
    row["body"] = row["body"].replace("never taken", "taken")
    row["digest"] = bundles.chained(row["previous_digest"], row["body"])
    found = auditor.wrong(part)
    assert found == {"tree": (row["sequence"], found["tree"][1])}
    assert "does not lead to the signed root" in found["tree"][1]


def test_an_entry_cannot_take_anothers_place(auditor, part):
    rows = part["entries"]
    rows[3]["inclusion"], rows[4]["inclusion"] = rows[4]["inclusion"], rows[3]["inclusion"]
    assert auditor.wrong(part)["tree"][0] == rows[3]["sequence"]


@pytest.mark.parametrize("proof", [[], ["0" * 64] * 65, ["x"], None, [1]])
def test_a_proof_of_another_form_proves_nothing(auditor, part, proof):
    part["entries"][2]["inclusion"] = proof
    assert auditor.wrong(part)["tree"][0] == part["entries"][2]["sequence"]


def test_a_reservation_left_out_shows_in_the_figures(auditor, part):
    kinds = [json.loads(row["body"])["kind"] for row in part["entries"]]
    del part["entries"][kinds.index("reserved")]
    found = auditor.wrong(part)
    assert "cost at most" in found["epsilon"][1]
    assert "transitions" in found


def test_entries_out_of_order_are_found(auditor, part):
    part["entries"].reverse()
    assert "sequence" in auditor.wrong(part)


def test_a_part_cannot_pass_for_the_whole(auditor, part):
    found = auditor.wrong(part | {"complete": True})
    assert {"sequence", "tree"} <= set(found)
