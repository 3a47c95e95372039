"""Somebody answers for it, by name, that no patient is at two institutions, or takes it back."""

import json

import pytest
from django.urls import reverse

from accounting.models import Entry
from accounting.selectors import attestations
from accounting.services import attesting
from accounting.services.attesting import AttestationRefused
from accounting.services.verification import verify
from studies.models import Event

pytestmark = pytest.mark.django_db
TEXT = "the registers were compared by hashed insurance number"


def test_who_attests_and_in_which_words_stands_in_the_ledger(sealed):
    entry = attesting.attest(sealed.study, TEXT, by=sealed.officer)
    body = json.loads(entry.body)
    assert (body["by"], body["name"], body["text"]) == ("olga", "Olga", TEXT)
    assert body["institutions"] == ["cleveland", "zurich"]
    assert (body["institution"], body["lineage"]) == ("", "")
    assert body["idempotency_key"] == f"heart//attested/{sealed.study.protocol_digest}"
    assert attestations.in_force(sealed.study).name == "Olga"
    assert Event.objects.get(kind="disjoint_attested").by == sealed.officer
    assert verify().ok


def test_it_is_taken_back_and_given_again(sealed):
    attesting.attest(sealed.study, TEXT, by=sealed.lead)
    attesting.withdraw(sealed.study, "two registers overlap", by=sealed.officer)
    assert attestations.in_force(sealed.study) is None
    attesting.attest(sealed.study, "now without the overlap", by=sealed.lead)
    assert attestations.in_force(sealed.study).text == "now without the overlap"
    rows = [json.loads(row.body) for row in Entry.objects.filter(kind="attested")]
    assert [row.get("withdrawn", False) for row in rows] == [False, True, False]
    assert [row["idempotency_key"][-2:] for row in rows][1:] == ["/2", "/3"]
    assert verify().ok


@pytest.mark.parametrize("text", ["", "   "])
def test_without_words_nothing_is_attested(sealed, text):
    with pytest.raises(AttestationRefused, match="say how you know"):
        attesting.attest(sealed.study, text, by=sealed.lead)


def test_twice_or_of_nothing_is_refused(sealed):
    with pytest.raises(AttestationRefused, match="nothing is attested"):
        attesting.withdraw(sealed.study, "why", by=sealed.lead)
    attesting.attest(sealed.study, TEXT, by=sealed.lead)
    with pytest.raises(AttestationRefused, match="attested already"):
        attesting.attest(sealed.study, TEXT, by=sealed.officer)
    with pytest.raises(AttestationRefused, match="say why"):
        attesting.withdraw(sealed.study, " ", by=sealed.lead)


def test_it_binds_to_the_protocol(sealed):
    attesting.attest(sealed.study, TEXT, by=sealed.lead)
    sealed.study.protocol_digest = "f" * 64
    assert attestations.in_force(sealed.study) is None


def test_the_page_asks_tells_and_takes_back(client, sealed):
    client.force_login(sealed.lead)
    panel, address = (reverse(n, args=["heart"]) for n in ("panel-budget", "study-attest"))
    assert "Nobody has attested" in client.get(panel).content.decode()
    assert "Cleveland, Zurich" in client.get(address).content.decode()
    client.post(address, {"text": TEXT})
    assert "says Lena" in client.get(panel).content.decode()
    assert "Withdraw the attestation?" in client.get(address).content.decode()
    client.post(address, {"text": "wrong"})
    assert attestations.in_force(sealed.study) is None


def test_a_site_admin_reads_it_and_attests_nothing(client, sealed):
    attesting.attest(sealed.study, TEXT, by=sealed.lead)
    client.force_login(sealed.admin)
    panel = client.get(reverse("panel-budget", args=["heart"])).content.decode()
    assert TEXT in panel
    assert reverse("study-attest", args=["heart"]) not in panel
    assert client.get(reverse("study-attest", args=["heart"])).status_code == 403


def test_its_row_names_the_study_and_nothing_before(client, sealed):
    attesting.attest(sealed.study, TEXT, by=sealed.lead)
    client.force_login(sealed.officer)
    page = client.get(reverse("ledger")).content.decode()
    where = f'data-label="Where"><div><div class="quiet">{sealed.study}</div></div></td>'
    assert where in page
