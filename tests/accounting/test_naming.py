"""Pages call houses, studies and data by their names, and keep small what identifies them."""

import re

import pytest
from django.urls import reverse
from pypdf import PdfReader

from accounting.models import DatasetBudget
from accounting.reports import summary
from accounting.reports.build import preview
from accounting.reports.renderings import page_context, rendered
from accounting.reports.scopes import Scope
from accounting.selectors import naming
from studies.models import Institution

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("channels_in_memory")]
ZURICH, HEART = "University Hospitals Zurich and Basel", "Patients since 1988"
OFFER = {"datasets": [{"name": HEART, "lineage": "heart", "epsilon": "3", "delta": "0.001"}]}


@pytest.fixture
def world(world):
    Institution.objects.filter(slug="zurich").update(name=ZURICH, offer=OFFER)
    return world


def page(client, who, name, *args, **query) -> str:
    client.force_login(who)
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200
    return answer.content.decode()


def cells(html: str, label: str) -> list[str]:
    """The text of every cell that a card would give this label."""
    found = re.findall(rf'data-label="{label}"[^>]*>(.*?)</t[dh]>', html, re.S)
    return [" ".join(re.sub("<[^>]*>", " ", cell).split()) for cell in found]


def test_the_ledger_tells_where_by_name(client, world):
    html = page(client, world.officer, "ledger")
    where = cells(html, "Where")
    assert f"{ZURICH} Heart disease in two houses heart" in where
    assert not any("zurich" in text for text in where)
    assert f'{HEART} <span class="identity">heart</span><div class="quiet">{ZURICH}</div>' in html


def test_a_studys_entries_do_not_repeat_its_title(client, world):
    where = cells(page(client, world.officer, "ledger-study", "heart"), "Where")
    assert f"{ZURICH} heart" in where


def test_what_nobody_names_is_called_by_its_slug(world):
    names = naming.load()
    assert (names.house("gone"), names.study("gone")) == ("gone", "gone")
    assert names.dataset("cleveland", "heart") == "heart"  # offered by no name of its own
    assert names.dataset("zurich", "heart") == HEART


@pytest.mark.parametrize("name", ["budget-lower", "budget-raise"])
def test_a_budget_is_called_by_its_datasets_name(client, world, name):
    Institution.objects.filter(slug="cleveland").update(offer=OFFER)
    number = DatasetBudget.objects.get(institution="cleveland").pk
    html = page(client, world.admin, name, number)
    assert re.search(rf"<h1>[^<]*{HEART}</h1>", html)
    assert 'class="identity">lineage heart<' in html


@pytest.mark.parametrize("scope", [Scope("heart"), Scope()], ids=["study", "everything"])
def test_a_report_names_everybody(client, world, scope):
    if scope.study:
        html = page(client, world.officer, "report", "heart")
    else:
        html = page(client, world.officer, "report-show")
    table = html[html.index('id="mechanisms-title"') :]
    table = table[: table.index("</table>")]
    assert ZURICH in table
    assert "zurich" not in table
    assert ("Heart disease in two houses" in table) is not bool(scope.study)
    assert f"{ZURICH}: " in html[html.index("Sites' journals") :]


def test_the_pdf_names_everybody(world, tmp_path):
    file = tmp_path / "report.pdf"
    file.write_bytes(rendered(preview(Scope("heart")), "pdf"))
    text = " ".join("\n".join(p.extract_text() for p in PdfReader(file).pages).split())
    mechanisms = text[text.index("Mechanisms: ") : text.index("What left the sites")]
    assert "University Hospitals" in mechanisms
    assert "zurich" not in mechanisms


def test_an_issued_report_keeps_the_names_it_was_issued_with(world):
    report = preview(Scope("heart"))
    Institution.objects.filter(slug="zurich").update(name="Renamed since")
    assert page_context(report)["names"].house("zurich") == ZURICH


def rows(count: int, noise=lambda number: "2.0") -> list[dict]:
    like = {"study": "heart", "institution": "zurich", "phase": "train", "sample_rate": "0.1"}
    like |= {"steps": 8, "max_grad_norm": "1", "batch_denominator": "30", "state": "charged"}
    return [
        like | {"round": n, "noise_multiplier": noise(n), "shown_after": f"0.{n:03}"}
        for n in range(1, count + 1)
    ]


def test_equal_mechanisms_stand_together_once_they_are_many():
    assert summary.condensed(rows(summary.SHORT)) is None
    (group,) = summary.condensed(rows(summary.SHORT + 1))
    assert (group.rounds, group.events, group.shown_after) == ("1–13", 13, "0.013")


def test_different_mechanisms_are_listed_one_by_one():
    assert summary.condensed(rows(30, noise=str)) is None
    assert summary.condensed([]) is None


def test_the_page_groups_as_the_pdf_does(client, world, monkeypatch):
    assert "one row per event" in page(client, world.officer, "report", "heart")  # six of them
    monkeypatch.setattr(summary, "SHORT", 5)
    html = page(client, world.officer, "report", "heart")
    assert "6 events, equal ones together" in html
    assert cells(html, "Rounds") == ["1–3"]
    assert cells(html, "Events") == ["6"]
    assert f'2 institutions<div class="quiet">Cleveland; {ZURICH}</div>' in html
