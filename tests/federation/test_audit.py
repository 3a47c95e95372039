"""The audit of a study: bound before training, revealed after, and a broken build is caught."""

import json

import pytest

from accounting.models import Entry
from federation.protocol.audit import coins_from
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
    committed, revealed = rows("committed"), rows("revealed")
    assert [row["institution"] for row in committed] == list(SLUGS)
    first = min(row["sequence"] for row in rows("reserved"))
    assert all(row["sequence"] < first for row in committed)
    for before, after in zip(committed, revealed, strict=True):
        assert before["commitment"] == after["commitment"] == coins_from(after).commitment.hex()
        assert len(after["coins"]) == CANARIES


def test_noise_over_the_batch_is_caught(audited, real_sites, monkeypatch):
    with noise_over_the_batch(monkeypatch):
        study = run(audited, real_sites)
    assert study.status == "failed"
