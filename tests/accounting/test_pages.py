"""The pages of what was spent: who sees which rows, and that the numbers are the ledger's."""

import hashlib
import json

import pytest
from django.urls import reverse

from accounting.canonical import canonical_json
from accounting.dp.accountants import epsilon
from accounting.dp.filters import fits_adaptively
from accounting.keys import Limit
from accounting.models import DatasetBudget
from accounting.selectors.judging import filter_order
from federation.protocol import plans
from studies.models import Event, Participation, Role, Study
from studies.services import people
from tests.accounting import builders as b
from tests.accounting import world as w

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("channels_in_memory")]


def get(client, who, name, *args, **query):
    client.force_login(who)
    return client.get(reverse(name, args=args), query)


def test_the_officer_sees_every_budget_study_and_entry(client, world):
    page = get(client, world.officer, "ledger")
    text = page.content.decode()
    assert page.status_code == 200
    assert [row.institution for row in page.context["budgets"]] == list(w.SITES)
    assert "0.701" in text
    assert 'id="verify-now"' in text
    assert "Nobody has verified the ledger here yet" in text


def test_the_overview_splits_charged_from_reserved(client, world):
    b.reserve(b.key("cleveland", 4), limit=w.BUDGET, protocol=world.study.protocol_digest)
    row = get(client, world.officer, "ledger").context["budgets"][0]
    assert row.spent == epsilon([b.TRAIN] * 3, 1e-3).epsilon
    assert row.spent + row.reserved == pytest.approx(epsilon([b.TRAIN] * 4, 1e-3).epsilon)
    assert row.committed == 0  # the whole plan is reserved
    other = get(client, world.officer, "ledger").context["budgets"][1]
    assert other.committed > 0  # Zurich's fourth round
    assert other.left == pytest.approx(3.0 - epsilon([b.TRAIN] * 4, 1e-3).epsilon)
    assert row.left == pytest.approx(3.0 - row.figure.epsilon - row.committed)


def test_a_site_admin_sees_only_the_own_house(client, world):
    page = get(client, world.admin, "ledger")
    assert [row.institution for row in page.context["budgets"]] == ["cleveland"]
    entries = get(client, world.admin, "ledger-study", "heart").context["lines"]
    assert {line.entry.institution for line in entries} == {"cleveland"}
    assert "zurich" not in page.content.decode().lower()


def test_a_lead_sees_own_studies_and_no_lifetime_budget(client, world):
    page = get(client, world.lead, "ledger")
    assert page.status_code == 200
    assert list(page.context["budgets"]) == []
    assert {line.entry.institution for line in page.context["lines"]} == set(w.SITES)


@pytest.mark.parametrize(
    "name", ["ledger-study", "ledger-json", "report", "report-pdf", "panel-budget"]
)
def test_a_foreign_study_does_not_exist(client, world, name):
    other = w.person("boris", Role.STUDY_LEAD)
    for who in (world.stranger, other):
        assert get(client, who, name, "heart").status_code == 404


def test_the_ledger_does_not_exist_for_the_roleless(client, world):
    assert get(client, world.stranger, "ledger").status_code == 404


@pytest.mark.parametrize("name", ["ledger", "ledger-study", "report", "report-json"])
def test_nobody_reads_without_logging_in(client, world, name):
    page = client.get(reverse(name, args=[] if name == "ledger" else ["heart"]))
    assert page.status_code == 302
    assert "/login/" in page["Location"]


def test_verifying_is_an_event_with_its_verdict(client, world):
    client.force_login(world.officer)
    page = client.post(reverse("ledger-verify"), follow=True)
    event = Event.objects.get(kind="ledger_verified")
    assert (event.by, event.payload["entries"]) == (world.officer, 26)
    assert "Ledger verified: 26 entries" in page.content.decode()


def test_a_broken_ledger_is_an_event_with_the_entry(client, world):
    DatasetBudget.objects.update(epsilon="99")
    client.force_login(world.officer)
    page = client.post(reverse("ledger-verify"), follow=True)
    assert "lifetime budget of heart" in Event.objects.get(kind="ledger_broken").payload["reason"]
    assert "Broken" in page.content.decode()


def test_only_officers_verify(client, world):
    client.force_login(world.admin)
    assert client.post(reverse("ledger-verify")).status_code == 403
    client.force_login(world.officer)
    assert client.get(reverse("ledger-verify")).status_code == 405


def test_entries_are_paginated_with_their_digests(client, world):
    page = get(client, world.officer, "ledger-study", "heart", page=1)
    first, second = page.context["lines"][:2]
    text = page.content.decode()
    assert first.entry.digest in text
    assert second.entry.previous_digest in text


def test_the_exported_ledger_can_be_chained_by_anybody(client, world):
    answer = get(client, world.officer, "ledger-json", "heart").json()
    assert answer["complete"] is True
    for row in answer["entries"]:
        data = bytes.fromhex(row["previous_digest"]) + canonical_json(row["body"]).encode()
        assert hashlib.sha256(data).hexdigest() == row["digest"]


def test_no_lead_takes_away_what_datasets_spent_in_other_studies(client, world):
    assert get(client, world.lead, "ledger-json", "heart").status_code == 403
    for name in ("ledger-study", "report"):
        assert "ledger.json" not in get(client, world.lead, name, "heart").content.decode()
        assert "ledger.json" in get(client, world.officer, name, "heart").content.decode()


@pytest.mark.parametrize("role", [Role.COMPLIANCE_OFFICER, Role.SITE_ADMIN])
def test_one_houses_people_export_that_houses_entries(client, world, role):
    otto = w.person("otto", role, world.institution("zurich"))
    answer = get(client, otto, "ledger-json", "heart").json()
    assert {row["body"]["institution"] for row in answer["entries"]} == {"zurich"}
    assert answer["complete"] is False


def test_the_report_page_shows_the_ledgers_numbers(client, world):
    text = get(client, world.officer, "report", "heart").content.decode()
    assert 'data-epsilon="cleveland">0.701<' in text
    assert "against everybody" in text


@pytest.mark.parametrize("form", ["json", "csv", "pdf"])
def test_each_download_carries_the_digest_and_is_an_event(client, world, form):
    page = get(client, world.officer, f"report-{form}", "heart")
    event = Event.objects.get(kind="report_downloaded")
    assert (event.by, event.payload["form"]) == (world.officer, form)
    assert f'filename="heart-report.{form}"' in page["Content-Disposition"]
    if form == "json":
        assert hashlib.sha256(page.content).hexdigest() == event.payload["sha256"]


def test_a_site_admins_report_is_the_own_houses(client, world):
    answer = json.loads(get(client, world.admin, "report-json", "heart").content)
    assert answer["report"]["scope"]["institution"] == "cleveland"
    foreign = get(client, world.admin, "report-json", "heart", institution="zurich")
    assert foreign.status_code == 404


def test_the_budget_panel_has_the_figure_and_its_table(client, world):
    page = get(client, world.lead, "panel-budget", "heart")
    figure = page.context["figure"]
    names = [trace["name"] for trace in figure["data"]]
    assert names == ["2 institutions alike", "budget ε = 1.2"]
    assert figure["data"][0]["y"][-1] == pytest.approx(0.7009, abs=1e-4)
    assert 'data-epsilon="zurich">0.701</td>' in page.content.decode()


def test_the_site_admins_panel_shows_only_the_own_curve(client, world):
    page = get(client, world.admin, "panel-budget", "heart")
    assert page.context["figure"]["data"][0]["name"] == "Cleveland"


def test_lending_shows_the_budget_before_and_after_the_plan(client, world):
    protocol = plans.seal(w.protocol("Another study"))
    study = Study.objects.create(
        slug="another",
        name="Another study",
        lead=world.lead,
        status="submitted",
        document=protocol.canonical().decode(),
        protocol_digest=protocol.digest,
    )
    Participation.objects.create(study=study, institution=world.institution("cleveland"))
    page = get(client, world.admin, "panel-lending", "another", "cleveland")
    (row,) = page.context["prospects"]
    assert float(row.shown_committed) > 0
    together = [*plans.plan_events(protocol), *[b.TRAIN] * 4]  # one is committed, not spent
    order = filter_order(Limit(3.0, 1e-3))
    assert row.after == epsilon(together, 1e-3)
    assert row.fits == fits_adaptively(together, 3.0, 1e-3, order).fits
    assert get(client, world.lead, "panel-lending", "another", "cleveland").status_code == 404


def test_an_officer_of_one_house_reads_whole_studies_but_only_its_budgets(client, world):
    otto = w.person("otto")
    people.grant(otto, Role.COMPLIANCE_OFFICER, world.institution("zurich"))
    page = get(client, otto, "ledger")
    assert [row.institution for row in page.context["budgets"]] == ["zurich"]
    assert get(client, otto, "report", "heart").status_code == 200


def test_a_site_admin_lowers_the_own_budget_with_a_reason(client, world):
    row = DatasetBudget.objects.get(institution="cleveland")
    assert "Lower" in get(client, world.admin, "ledger").content.decode()
    address = reverse("budget-lower", args=[row.pk])
    assert client.get(address).status_code == 200
    for wrong in ({"epsilon": "9", "reason": "more"}, {"epsilon": "1.5", "reason": " "}):
        assert client.post(address, wrong).status_code == 200
        row.refresh_from_db()
        assert row.epsilon == "3.0"
    assert client.post(address, {"epsilon": "1.5", "reason": "board"}).status_code == 302
    row.refresh_from_db()
    assert row.epsilon == "1.5"
    assert Event.objects.get(kind="budget_lowered").by == world.admin


def test_nobody_else_lowers_a_budget(client, world):
    other = DatasetBudget.objects.get(institution="zurich")
    for who in (world.admin, world.officer, world.lead, world.stranger):
        assert get(client, who, "budget-lower", other.pk).status_code == 404
    assert get(client, world.admin, "budget-lower", 99999).status_code == 404
