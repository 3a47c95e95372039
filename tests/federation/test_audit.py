"""The audit of a study: bound before training, revealed after, and a broken build is caught."""

import json

import pytest

from accounting.models import Entry, SiteDifference, SiteEntry
from accounting.services.verification import verify
from config.launch import outcome
from federation.protocol.audit import coins_from
from federation.selectors.audits import audits
from studies.models import Event
from tests.federation.audited import (
    CANARIES,
    SECTIONS,
    noise_over_the_batch,
    real_sites,
    run,
)
from tests.federation.conftest import SLUGS, advance

__all__ = ["real_sites"]


@pytest.fixture
def audited(start, real_sites):
    study = start(**SECTIONS)
    return advance(study)


def rows(kind: str) -> list[dict]:
    return [json.loads(row.body) for row in Entry.objects.filter(kind=kind).order_by("sequence")]


def told(kind: str) -> list[Event]:
    return list(Event.objects.filter(kind=kind).order_by("id"))


def test_the_right_build_passes(audited, real_sites):
    study = run(audited, real_sites)
    assert study.status == "completed"
    committed, (*revealed, together) = rows("committed"), rows("revealed")
    assert [row["institution"] for row in committed] == list(SLUGS)
    first = min(row["sequence"] for row in rows("reserved"))
    assert all(row["sequence"] < first for row in committed)
    for before, after in zip(committed, revealed, strict=True):
        assert before["commitment"] == after["commitment"] == coins_from(after).commitment.hex()
        assert len(after["coins"]) == after["result"]["canaries"] == CANARIES
        assert float(after["result"]["lower"]) < float(after["result"]["figure"]["epsilon"])
    assert (together["institution"], together["institutions"]) == ("", list(SLUGS))
    assert together["result"]["canaries"] == 3 * CANARIES
    largest = max(float(row["result"]["figure"]["epsilon"]) for row in revealed)
    assert float(together["result"]["figure"]["epsilon"]) == largest
    assert float(together["result"]["lower"]) < largest
    assert verify().ok
    assert [row.state for row in audits(study)] == ["measured"] * 3
    assert not told("audit_failed")
    text = outcome.table(outcome.measure(study, 1.0))
    for slug in SLUGS:
        assert f"audit of {slug}: measured, ε ≥ 0." in text


def test_both_sides_books_agree_about_phases_that_cost_nothing(audited, real_sites):
    run(audited, real_sites)
    for site in real_sites.values():
        site.statements.tell()
        entries = [(e.kind, e.phase) for e in site.parts.journal.entries() if e.kind != "charged"]
        assert entries[:2] == [("released", "commit"), ("acknowledged", "commit")]
        assert not site.statements.waiting
    assert SiteEntry.objects.filter(phase="reveal").count() == 6
    assert not SiteDifference.objects.exists()


def test_noise_over_the_batch_is_caught(audited, real_sites, monkeypatch):
    with noise_over_the_batch(monkeypatch):
        study = run(audited, real_sites)
    assert study.status == "failed"
    assert "noise, clipping or sampling is not what was promised" in study.status_reason
    assert study.rounds.order_by("-id").first().status == "closed"
    caught, (together,) = told("audit_failed"), told("audit_refuted")
    assert caught
    assert "At all institutions together" in study.status_reason
    for event in (*caught, together):
        figure = event.payload["figure"]
        assert float(event.payload["lower"]) > float(figure["epsilon"])
    for event in caught:
        assert event.institution.name in study.status_reason
    assert {row.state for row in audits(study)} <= {"refuted", "measured"}
    assert verify().ok  # the ledger tells truly what was measured
    assert advance(study).status == "failed"
