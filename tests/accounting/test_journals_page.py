"""Both sides beside each other: who reads them, field by field, and who says what happened."""

from datetime import UTC, datetime

import pytest
from django.urls import reverse

from accounting.models import DifferenceNote, Differs, SiteDifference, SiteEntry, SiteStatement
from accounting.services import differences
from accounting.views import journals
from studies.models import Event, Role
from tests.accounting import world as w

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("channels_in_memory")]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def difference(sealed) -> SiteDifference:
    return SiteDifference.objects.create(
        key="cleveland/heart/3.1/train/other_release",
        institution="cleveland",
        study="heart",
        round=3,
        attempt=1,
        phase="train",
        what=Differs.OTHER_RELEASE,
        hub={"rows": "reserved, charged, released", "tensors_digest": "a" * 64, "lineage": "heart"},
        site={"rows": "charged, released", "tensors_digest": "b" * 64, "lineage": "heart"},
        found_at=NOW,
    )


def page(client, who):
    client.force_login(who)
    return client.get(reverse("journals"))


def explain(client, who, row, reason="our disk was replaced"):
    client.force_login(who)
    return client.post(reverse("journal-explain", args=[row.pk]), {"reason": reason})


def test_both_sides_stand_beside_each_other(client, sealed, difference):
    text = page(client, sealed.admin).content.decode()
    assert text.count("a" * 64) == text.count("b" * 64) == 1
    assert text.count('<span class="status status-bad">differs</span>') == 1  # not of the rows
    assert "Heart disease in two houses, train of round 3.1" in text
    assert "Journals differ" in text


def test_how_far_a_journal_was_told(client, sealed):
    for number in (1, 2):
        SiteEntry.objects.create(
            institution="cleveland",
            sequence=number,
            kind="charged",
            study="heart",
            round=number,
            attempt=1,
            phase="train",
            assignment="a",
            body="{}",
            digest=str(number) * 64,
        )
    SiteStatement.objects.create(
        institution="cleveland",
        sequence=2,
        head="2" * 64,
        complete=True,
        checkpoint_size=17,
        checkpoint_root="c" * 64,
        agreed=True,
        key="d" * 64,
        envelope="{}",
        stated_at=NOW,
        received_at=NOW,
    )
    text = page(client, sealed.admin).content.decode()
    assert "Told up to entry 2" in text
    assert "grow to 17 entries" in text
    assert "Journals agree" in text


@pytest.mark.parametrize("role", ["officer", "admin"])
def test_officers_and_its_own_admins_read_it(client, sealed, difference, role):
    assert "a" * 64 in page(client, getattr(sealed, role)).content.decode()


def test_another_houses_admin_reads_the_own_house_only(client, sealed, difference):
    otto = w.person("otto", Role.SITE_ADMIN, sealed.institution("zurich"))
    text = page(client, otto).content.decode()
    assert "Zurich" in text
    assert "Cleveland" not in text
    assert explain(client, otto, difference).status_code == 404


def test_a_lead_reads_no_figures(client, sealed, difference):
    assert page(client, sealed.lead).status_code == 404
    assert explain(client, sealed.lead, difference).status_code == 404
    assert "journals-link" not in client.get(reverse("ledger")).content.decode()


def test_a_site_admin_explains_once(client, sealed, difference):
    assert 'id="journals-link"' in _ledger(client, sealed.admin)
    assert explain(client, sealed.admin, difference, " ").status_code == 302
    assert not DifferenceNote.objects.exists()
    explain(client, sealed.admin, difference)
    note = DifferenceNote.objects.get()
    assert (note.by, note.reason) == (sealed.admin, "our disk was replaced")
    assert Event.objects.get(kind="journal_acknowledged").institution.slug == "cleveland"
    explain(client, sealed.admin, difference, "another story")
    assert DifferenceNote.objects.count() == 1
    text = page(client, sealed.admin).content.decode()
    assert "our disk was replaced" in text
    assert "Explain the difference" not in text


def test_one_reason_can_explain_many(client, sealed, difference):
    """A hub that was restored lacks many rounds, and a site admin has one story to tell."""
    assert "Explain all" not in page(client, sealed.admin).content.decode()
    for number in (4, 5):
        fields = {"institution": "cleveland", "study": "heart", "round": number, "phase": "train"}
        SiteDifference.objects.create(
            key=str(number), what=Differs.UNCHARGED, hub={}, site={}, found_at=NOW, **fields
        )
    assert "Explain all 3" in page(client, sealed.admin).content.decode()
    address = reverse("journal-explain", args=[difference.pk])
    client.post(address, {"reason": "the hub was restored", "all": "1"})
    assert DifferenceNote.objects.filter(reason="the hub was restored").count() == 3
    assert Event.objects.filter(kind="journal_acknowledged").count() == 3


def _ledger(client, who) -> str:
    client.force_login(who)
    return client.get(reverse("ledger")).content.decode()


def test_an_officer_changes_nothing(client, sealed, difference):
    assert "Explain the difference" not in page(client, sealed.officer).content.decode()
    assert explain(client, sealed.officer, difference).status_code == 403
    assert explain(client, sealed.stranger, difference).status_code == 404


def test_a_long_list_is_cut_and_what_nobody_explained_comes_first(
    client, sealed, difference, monkeypatch
):
    monkeypatch.setattr(journals, "DIFFERENCES", 2)
    for number in (4, 5):
        fields = {"institution": "cleveland", "study": "heart", "round": number, "phase": "train"}
        row = SiteDifference.objects.create(
            key=str(number), what=Differs.UNCHARGED, hub={}, site={}, found_at=NOW, **fields
        )
        differences.explain(row, by=sealed.admin, reason="the hub was restored")
    text = page(client, sealed.admin).content.decode()
    shown = [text.find(f"train of round {number}.") for number in (3, 5, 4)]
    assert 0 < shown[0] < shown[1]
    assert shown[2] == -1
    assert "2 of 3 differences are shown" in text


def test_institutions_whose_journals_differ_come_first(client, sealed, monkeypatch):
    monkeypatch.setattr(journals, "INSTITUTIONS", 1)
    SiteDifference.objects.create(
        institution="zurich", what=Differs.CHECKPOINT, hub={}, site={}, found_at=NOW
    )
    first = page(client, sealed.officer)
    assert [state.institution.slug for state, _ in first.context["states"]] == ["zurich"]
    assert "Page 1 of 2" in first.content.decode()
    second = client.get(reverse("journals"), {"page": 2})
    assert [state.institution.slug for state, _ in second.context["states"]] == ["cleveland"]
