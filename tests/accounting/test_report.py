"""The report: the ledger's own numbers, in renderings that carry its SHA-256."""

import csv
import hashlib
import io
import json
import math
import os
import re
import subprocess
import sys

import pytest
from django.utils import timezone
from pypdf import PdfReader
from reportlab.lib.units import mm
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate, Spacer

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.models import Entry
from accounting.reports import wording
from accounting.reports.build import build
from accounting.reports.pdf import records, style
from accounting.reports.pdf.document import pdf_bytes
from accounting.reports.table import csv_text, guarded
from federation.models import Checkpoint
from studies.services import events
from tests.accounting import builders as b
from tests.accounting import moves
from tests.accounting import world as w

pytestmark = pytest.mark.django_db


def stored(slug: str) -> dict:
    row = Entry.objects.filter(kind="reserved", institution=slug).last()
    return json.loads(row.body)["figure"]


def test_every_figure_is_the_ledgers(world):
    sites = build(world.study).document["parameters"]["institutions"]
    assert [site["institution"] for site in sites] == list(w.SITES)
    for site in sites:
        spent = site["spent"]
        assert spent["epsilon"] == stored(site["institution"])["epsilon"]
        assert float(spent["shown"]) >= float(spent["epsilon"])
        assert (spent["delta"], spent["accountant"], spent["unit"]) == ("0.001", "pld", "patient")
        assert float(site["second_opinion"]["epsilon"]) > float(spent["epsilon"])


def test_the_exported_events_give_the_same_epsilon(world):
    document = build(world.study).document
    for slug, listed in document["events"].items():
        history = [PrivacyEvent.from_json(event) for event in listed]
        assert repr(epsilon(history, 1e-3).epsilon) == stored(slug)["epsilon"]


def test_the_sections_are_all_there_and_say_what_is_not(world):
    document = build(world.study).document
    assert list(document) == [
        "report",
        "statement",
        "parameters",
        "accounting",
        "mechanisms",
        "releases",
        "trust_model",
        "incidents",
        "audit",
        "utility",
        "integrity",
        "limits",
        "events",
    ]
    assert document["audit"]["method"] == "not run"
    assert document["utility"] == {"status": "not evaluated yet"}
    assert "against everybody" in document["statement"][0]["sentence"]
    assert "anonym" not in build(world.study).text.lower()
    assert document["releases"]["unprotected"]
    assert len(document["releases"]["released"]) == 5
    assert [i["what"] for i in document["incidents"]] == ["no answer came; it stays charged"]


def test_the_reading_is_the_known_posterior(world):
    site = build(world.study).document["parameters"]["institutions"][0]
    spent = float(site["spent"]["epsilon"])
    exact = 100 * math.exp(spent) / (1 + math.exp(spent))
    assert exact <= float(site["attacker_percent_sure"]) < exact + 0.1001


def test_the_same_ledger_gives_the_same_bytes(world):
    one, two = build(world.study), build(world.study)
    assert one.digest == two.digest == hashlib.sha256(one.text.encode()).hexdigest()
    assert pdf_bytes(one) == pdf_bytes(two)
    events.record("report_downloaded", study=world.study, by=world.lead)
    assert build(world.study).digest == one.digest


def test_the_report_of_one_institution_tells_nothing_of_the_other(world):
    report = build(world.study, world.institution("cleveland"))
    assert "zurich" not in report.text.lower()
    lifetime = report.document["parameters"]["lifetime"]
    assert (
        lifetime[0]["spent"] == report.document["parameters"]["institutions"][0]["spent"]["shown"]
    )


def test_utility_is_what_was_measured(world):
    Checkpoint.objects.create(
        study=world.study,
        number=3,
        digest="a" * 64,
        reported_digest="b" * 64,
        metrics={"public": {"accuracy": 0.8071, "auc": None}},
        at=timezone.now(),
    )
    told = build(world.study).document["utility"]
    assert told["after round"] == 3
    assert told["on public rows"] == {"accuracy": "0.8071", "auc": None}


def test_overrides_are_incidents_with_who_and_why(world):
    events.record("quorum_overridden", study=world.study, by=world.lead, round=3, reason="one away")
    found = build(world.study).document["incidents"][-1]
    assert (found["approved_by"], found["reason"]) == ("lena", "one away")


def test_a_study_that_spent_nothing_has_a_report():
    world = w.build()
    document = build(world.study).document
    assert document["parameters"]["institutions"][0]["spent"]["shown"] == "0.000"
    assert pdf_bytes(build(world.study)).startswith(b"%PDF")


def test_the_pdf_says_the_ledgers_numbers(world):
    report = build(world.study)
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf_bytes(report))).pages)
    flat = re.sub(r"\s+", " ", text)
    for site in report.document["parameters"]["institutions"]:
        assert site["spent"]["shown"] in flat
        assert site["second_opinion"]["shown"] in flat
    assert report.digest in re.sub(r"\s+", "", text)
    assert report.document["integrity"]["ledger_head"]["sha256"] in re.sub(r"\s+", "", text)
    (both,) = report.document["parameters"]["across_institutions"]
    assert f"(ε = {both['if_a_person_may_be_at_all']['shown']}, δ = 0.001)" in flat
    assert f"ε = {both['if_no_person_is_at_two']['shown']} (PLD)" in flat
    for row in report.document["mechanisms"]:
        assert row["shown_after"] in flat
        assert float(row["shown_after"]) >= float(row["epsilon_after"])


def test_the_csv_has_one_row_per_mechanism_and_the_digest(world):
    report = build(world.study)
    rows = list(csv.reader(io.StringIO(csv_text(report))))
    assert ["report_sha256", report.digest] in rows
    head = rows.index(next(row for row in rows if row[:1] == ["entry"]))
    lines = [dict(zip(rows[head], row, strict=True)) for row in rows[head + 1 :]]
    assert len(lines) == 6
    assert lines[-1]["epsilon_after"] == stored("zurich")["epsilon"]


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1+1", "'+1+1"),
        ("-2-3", "'-2-3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\r=1", "'\r=1"),
        ("-1.5e-7", "-1.5e-7"),
        ("plain", "plain"),
        (None, ""),
        (3, "3"),
    ],
)
def test_formulas_are_defused_and_numbers_are_not(cell, safe):
    assert guarded(cell) == safe


def test_a_long_table_begins_below_its_heading_not_on_a_new_page(world):
    """Most of a page stood empty where a heading was kept with a table longer than a page."""
    rows = build(world.study).document["mechanisms"]
    document = {**build(world.study).document, "mechanisms": rows * 12}
    frame = Frame(0, 0, style.WIDTH, style.WIDTH, 0, 0, 0, 0)
    pages = [PageTemplate(frames=[frame])]
    target = io.BytesIO()
    made = BaseDocTemplate(target, pagesize=(style.WIDTH, style.WIDTH), pageTemplates=pages)
    made.build([Spacer(1, 100 * mm), *records.story(document)])
    assert "Mechanisms" in PdfReader(target).pages[0].extract_text()


def test_metrics_are_named_in_words():
    assert wording.metric("auc") == "area under the ROC curve"
    assert wording.metric("balanced_accuracy") == "balanced accuracy"


def test_a_name_may_be_anything(world):
    world.study.name = "<b>=cmd|' /C calc'!A0</b> & Łódź Ωmega"
    world.study.save()
    report = build(world.study)
    text = PdfReader(io.BytesIO(pdf_bytes(report))).pages[0].extract_text()
    assert "Łódź Ωmega" in text
    assert "<b>=cmd" in text


def test_reports_need_no_torch():
    code = (
        "import django, sys; django.setup(); import accounting.reports.pdf.document, "
        "accounting.services.verification; from accounting.dp.accountants import epsilon; "
        "sys.exit('torch' in sys.modules)"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


def test_an_aborted_event_is_listed_but_not_counted(world):
    key = b.key("cleveland", 4, study="heart")
    b.reserve(key, limit=w.BUDGET, protocol=world.study.protocol_digest)
    moves.abort(key, "never taken")
    document = build(world.study).document
    assert document["mechanisms"][-1]["counted"] is False
    assert len(document["events"]["cleveland"]) == 3
