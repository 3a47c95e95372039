"""What left although nobody used it: a late answer's tensors are listed, and stay charged."""

import json

import pytest

from accounting.canonical import canonical_json
from accounting.models import SiteEntry
from accounting.reports.build import build
from accounting.reports.pdf.document import pdf_bytes
from accounting.reports.releases import LATE
from accounting.services import checkpoints
from accounting.services.hub_key import hub_key
from accounting.verifier import cloister_verify
from federation.protocol import messages
from federation.protocol.canonical import digest
from federation.protocol.tensors import pack
from federation.services import blobs
from tests.accounting import in_memory
from tests.federation.conftest import advance


@pytest.fixture
def taken(study, sites):
    """Zurich took its assignment; the others answered."""
    task = sites["zurich"].take()
    for slug in ("budapest", "cleveland"):
        sites[slug].work()
    return task


@pytest.fixture
def late(study, sites, taken):
    """Its tensors came in time, its signed answer after the deadline."""
    site = sites["zurich"]
    data = pack(site.computed(taken))
    assert site.upload(taken, data).status_code == 204
    advance(study, later=61)
    envelope = messages.sign(site.contribution(taken, data), site.key)
    assert site.answer(taken, envelope).status_code == 409
    assert blobs.exists(digest(data))
    return digest(data)


def test_it_is_listed_with_what_became_of_it(study, sites, late):
    (row,) = build(study, sites["zurich"].institution).document["releases"]["released"]
    assert (row["sha256"], row["outcome"], row["became_part_of"]) == (late, LATE, "no model")


def test_the_incident_does_not_say_that_no_answer_came(study, sites, late):
    rows = build(study, sites["zurich"].institution).document["incidents"]
    told = " ".join(row["what"] for row in rows)
    assert "the answer came too late, and what left was not used; it stays charged" in told
    assert "no answer came" not in told


def test_the_report_still_verifies_and_renders(study, late, tmp_path, capsys):
    report, ledger = tmp_path / "report.json", tmp_path / "bundle.json"
    found = build(study)
    report.write_text(canonical_json(found.document))
    checkpoints.issue()
    ledger.write_text(in_memory.text(scope={"kind": "ledger"}))
    key = hub_key().public
    code = cloister_verify.main([str(ledger), "--key", key, "--report", str(report)])
    assert code == 0, capsys.readouterr().out
    assert pdf_bytes(found).startswith(b"%PDF")


def test_a_site_that_never_answered_released_nothing(study, sites, taken):
    advance(study, later=61)
    document = build(study, sites["zurich"].institution).document
    assert document["releases"]["released"] == []
    assert "no answer came" in " ".join(row["what"] for row in document["incidents"])


def test_what_its_journal_says_was_released_is_listed_without_an_answer(study, sites, taken):
    advance(study, later=61)
    SiteEntry.objects.create(
        institution="zurich",
        sequence=1,
        kind="released",
        study=study.slug,
        round=1,
        attempt=1,
        phase="train",
        assignment=taken.assignment,
        body=json.dumps({"tensors_digest": "e" * 64}),
        digest="f" * 64,
    )
    (row,) = build(study, sites["zurich"].institution).document["releases"]["released"]
    assert (row["sha256"], row["outcome"]) == ("e" * 64, LATE)


def test_what_is_unprotected_is_named(study):
    told = " ".join(build(study).document["releases"]["unprotected"])
    for word in ("coins", "salt", "journal", "whole seconds", "step k of K", "refusal", "lends"):
        assert word in told
    assert "the class of its machine, where it declares one" in told
    assert "no step's length" not in told
    assert "the length of each step that lasts longer than a second, to about a second" in told
    assert "how long reading the rows took" in told
