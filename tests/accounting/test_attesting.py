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
from tests.accounting import world as w

pytestmark = pytest.mark.django_db
TEXT = "the registers were compared by hashed insurance number"


@pytest.fixture
def world():
    return w.build()


def test_who_attests_and_in_which_words_stands_in_the_ledger(world):
    entry = attesting.attest(world.study, TEXT, by=world.officer)
    body = json.loads(entry.body)
    assert (body["by"], body["name"], body["text"]) == ("olga", "Olga", TEXT)
    assert body["institutions"] == ["cleveland", "zurich"]
    assert (body["institution"], body["lineage"]) == ("", "")
    assert body["idempotency_key"] == f"heart//attested/{world.study.protocol_digest}"
    assert attestations.in_force(world.study).name == "Olga"
    assert Event.objects.get(kind="disjoint_attested").by == world.officer
    assert verify().ok


def test_it_is_taken_back_and_given_again(world):
    attesting.attest(world.study, TEXT, by=world.lead)
    attesting.withdraw(world.study, "two registers overlap", by=world.officer)
    assert attestations.in_force(world.study) is None
    attesting.attest(world.study, "now without the overlap", by=world.lead)
    assert attestations.in_force(world.study).text == "now without the overlap"
    rows = [json.loads(row.body) for row in Entry.objects.filter(kind="attested")]
    assert [row.get("withdrawn", False) for row in rows] == [False, True, False]
    assert [row["idempotency_key"][-2:] for row in rows][1:] == ["/2", "/3"]
    assert verify().ok


@pytest.mark.parametrize("text", ["", "   "])
def test_without_words_nothing_is_attested(world, text):
    with pytest.raises(AttestationRefused, match="say how you know"):
        attesting.attest(world.study, text, by=world.lead)


def test_twice_or_of_nothing_is_refused(world):
    with pytest.raises(AttestationRefused, match="nothing is attested"):
        attesting.withdraw(world.study, "why", by=world.lead)
    attesting.attest(world.study, TEXT, by=world.lead)
    with pytest.raises(AttestationRefused, match="attested already"):
        attesting.attest(world.study, TEXT, by=world.officer)
    with pytest.raises(AttestationRefused, match="say why"):
        attesting.withdraw(world.study, " ", by=world.lead)


def test_it_binds_to_the_protocol(world):
    attesting.attest(world.study, TEXT, by=world.lead)
    world.study.protocol_digest = "f" * 64
    assert attestations.in_force(world.study) is None


def test_the_page_asks_tells_and_takes_back(client, world):
    client.force_login(world.lead)
    panel, address = (reverse(n, args=["heart"]) for n in ("panel-budget", "study-attest"))
    assert "Nobody has attested" in client.get(panel).content.decode()
    assert "Cleveland, Zurich" in client.get(address).content.decode()
    client.post(address, {"text": TEXT})
    assert "says Lena" in client.get(panel).content.decode()
    assert "Withdraw the attestation?" in client.get(address).content.decode()
    client.post(address, {"text": "wrong"})
    assert attestations.in_force(world.study) is None


def test_a_site_admin_reads_it_and_attests_nothing(client, world):
    attesting.attest(world.study, TEXT, by=world.lead)
    client.force_login(world.admin)
    panel = client.get(reverse("panel-budget", args=["heart"])).content.decode()
    assert TEXT in panel
    assert reverse("study-attest", args=["heart"]) not in panel
    assert client.get(reverse("study-attest", args=["heart"])).status_code == 403


def test_its_row_names_the_study_and_nothing_before(client, world):
    attesting.attest(world.study, TEXT, by=world.lead)
    client.force_login(world.officer)
    page = client.get(reverse("ledger")).content.decode()
    where = f'data-label="Where"><div><div class="quiet">{world.study}</div></div></td>'
    assert where in page
