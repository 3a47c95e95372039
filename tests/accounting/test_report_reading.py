"""What people read: summaries that leave nothing out, sentences for every trust model, the PDF."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from accounting.reports import summary, trust
from accounting.reports.build import Report, preview
from accounting.reports.pdf.document import pdf_bytes
from accounting.reports.scopes import Scope
from accounting.reports.stamps import stamp
from accounting.reports.table import csv_text
from accounting.reports.trust import Claim, TrustModel
from accounting.services import reports
from tests.accounting import builders as b
from tests.accounting.world import PASSWORD

CLAIM = Claim("1.83", "1e-05", "pld", "patient", 3, "everything that left it", against="outsiders")
ROW = {
    "study": "heart",
    "phase": "train",
    "noise_multiplier": "1.0",
    "sample_rate": "0.01",
    "steps": 8,
    "max_grad_norm": "1.0",
    "batch_denominator": "10.0",
    "state": "acknowledged",
    "shown_after": "0.100",
}


def rows(sites: int, rounds: int, **more):
    return [
        ROW | {"institution": f"house-{site}", "round": number} | more
        for number in range(1, rounds + 1)
        for site in range(sites)
    ]


@given(st.sets(st.integers(1, 200), min_size=1))
def test_ranges_name_every_number_once(numbers):
    told = summary.ranges(numbers)
    named = set()
    for part in told.split(", "):
        first, _, last = part.partition("–")
        named |= set(range(int(first), int(last or first) + 1))
    assert named == numbers


def test_a_hundred_rounds_at_fifteen_sites_are_one_line():
    (group,) = summary.mechanisms(rows(15, 100))
    assert (group.where, group.rounds, group.events) == ("15 institutions", "1–100", 1500)


def test_what_ended_otherwise_is_counted_beside():
    listed = rows(2, 3)
    listed[4]["state"], listed[5]["shown_after"] = "lost", "0.200"
    (group,) = summary.mechanisms(listed)
    assert group.states == "5 acknowledged, 1 lost"
    assert group.shown_after == "0.200"


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9), st.sampled_from("ab"))))
def test_no_event_is_left_out(found):
    listed = [
        ROW | {"institution": f"house-{site}", "round": number, "phase": phase}
        for site, number, phase in found
    ]
    assert sum(group.events for group in summary.mechanisms(listed)) == len(listed)


def test_equal_incidents_are_counted_and_others_kept():
    one = {"at": "2026-03-01T00:00:00Z", "what": "lost", "reason": "away", "approved_by": "x"}
    listed = [one | {"institution": f"house-{n}", "round": "1"} for n in range(70)]
    listed.append(one | {"institution": "house-1", "round": "2", "reason": "other"})
    many, single = summary.incidents(listed)
    assert (many["count"], many["institution"], many["round"]) == (
        70,
        "70 institutions",
        "70 times",
    )
    assert single["reason"] == "other"


@pytest.mark.parametrize("model", TrustModel)
def test_every_trust_model_has_its_sentence_and_its_assumptions(model):
    told = trust.sentence(model, CLAIM)
    assert trust.ASSUMPTIONS[model]
    assert told.endswith(".")
    if model is TrustModel.NO_NOISE:
        assert "ε =" not in told
    else:
        assert "one patient, with at most 3 rows, adding or removing" in told
        assert "(ε = 1.83, δ = 1e-05)" in told


def test_a_claim_without_a_figure_is_not_made():
    with pytest.raises(ValueError, match="figure"):
        trust.sentence(TrustModel.HUB_NOISE, None)


def test_only_the_hub_is_trusted_where_it_adds_the_noise():
    claim = Claim("1", "1e-5", "pld", "row", None, "the model")
    assert "against readers of the model" in trust.sentence(TrustModel.HUB_NOISE, claim)
    assert "everybody" in trust.sentence(TrustModel.SITE_NOISE, claim)


def pages(report, found=None) -> list[str]:
    reader = PdfReader(io.BytesIO(pdf_bytes(report, found)))
    return [re.sub(r"\s+", " ", page.extract_text()) for page in reader.pages]


def test_every_page_carries_the_digest_its_number_and_what_it_is(world):
    report = preview(Scope("heart"))
    found = pages(report)
    for number, page in enumerate(found, start=1):
        assert report.digest in page.replace(" ", "")
        assert f"page {number} of {len(found)}" in page
        assert "PREVIEW, NOT ISSUED" in page


@pytest.mark.usefixtures("officer_can_sign")
def test_the_pdf_of_an_issued_report_names_who_signed_and_what_came_after(world):
    row = reports.issue(Scope("heart"), world.officer, second_opinion=False)
    reports.sign(row, by=world.officer, meaning="approved", password=PASSWORD)
    report = Report(preview(Scope("heart")).document, row.text, row.sha256)
    flat = " ".join(pages(report, stamp(row)))
    assert "I approve this report" in flat
    assert "Olga (olga): approved" in flat
    assert "SUPERSEDED" not in flat
    reports.issue(Scope("heart"), world.officer, second_opinion=False)
    assert all("SUPERSEDED BY REPORT 2" in page for page in pages(report, stamp(row)))
    assert "Olga (olga)" in csv_text(report, stamp(row))


def test_a_large_study_stays_readable(world):
    report = preview(Scope("heart"))
    large = report.document | {
        "mechanisms": [
            row | {"institution": f"house-{n}", "round": r, "state": "acknowledged"}
            for row in report.document["mechanisms"][:1]
            for r in range(1, 101)
            for n in range(15)
        ],
        "releases": report.document["releases"]
        | {"released": report.document["releases"]["released"] * 300},
        "incidents": report.document["incidents"] * 200,
    }
    found = pages(Report(large, report.text, report.digest))
    assert len(found) <= 5
    assert "1500 events, equal ones together" in " ".join(found)
    assert csv_text(Report(large, report.text, report.digest)).count("\n") > 1500


def test_the_period_and_the_house_have_their_pdf(world):
    b.lend("cleveland", "brains")
    scope = Scope(institution="cleveland", since=reports.timezone.now().date())
    flat = " ".join(pages(preview(scope)))
    for words in ("Before", "How the lifetime budgets came to be", "Lifetime budgets", "By study"):
        assert words in flat
