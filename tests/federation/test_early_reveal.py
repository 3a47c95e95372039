"""A study that ends early reveals its coins all the same, and the rounds there were are judged."""

import json

import pytest
from django.utils import timezone

from accounting.dp.accountants import epsilon
from accounting.models import Entry
from accounting.services.verification import verify
from federation.models import Assignment
from federation.protocol import messages
from federation.protocol.audit import REVEAL
from federation.protocol.tensors import pack
from federation.selectors import live, models
from federation.selectors.audits import audits
from federation.services import advancing
from federation.views.seats import seen_rounds
from studies.models import Event, Study
from studies.services import participations, studies
from tests.accounting import builders as b
from tests.federation.audited import SECTIONS, noise_over_the_batch, real_sites, run, work
from tests.federation.conftest import SLUGS, advance
from tests.federation.test_audit_gaps import (
    CANARIES,
    bind,
    missing,
    reveal,
    states,
)

__all__ = ["real_sites"]
LONG = {"rounds": {"count": 4, "deadline_seconds": 60}, "evaluation": {"every": 0, "holdout": 0.0}}


@pytest.fixture
def audited(start, sites) -> Study:
    """A study of four rounds, everybody bound, the first of them open for training."""
    study = advance(start(audit={"canaries": CANARIES}, **LONG))
    for site in sites.values():
        bind(site)
    return advance(study)


def train(study: Study, sites) -> Study:
    for site in sites.values():
        site.work()
    return advance(study)


def revealed() -> list[dict]:
    rows = Entry.objects.filter(kind="revealed").exclude(institution="").order_by("sequence")
    return [json.loads(row.body) for row in rows]


def end(study: Study, how: str, lead) -> Study:
    study.refresh_from_db()
    if how == "withdrawn":
        studies.withdraw(study, by=lead)
    else:
        {"exhausted": studies.exhaust, "failed": studies.fail}[how](study, reason="for the test")
    return advance(study)


@pytest.mark.parametrize("how", ["withdrawn", "exhausted", "failed"])
def test_every_early_end_reveals(audited, sites, lead, how):
    study = end(train(audited, sites), how, lead)
    round_ = study.rounds.order_by("-number", "-attempt").first()
    assert (round_.number, round_.attempt, round_.phase, round_.status) == (2, 2, REVEAL, "open")
    assert {row.state for row in audits(study)} == {"committed"}
    for site in sites.values():
        assert reveal(site) == {"accepted": True, "reason": ""}
    advance(study)
    assert study.status == how
    assert {row.state for row in audits(study)} == {"measured"}
    for row in revealed():
        spent = epsilon(b.events_of(study.slug, row["institution"]), 1e-5)
        assert float(row["result"]["figure"]["epsilon"]) == pytest.approx(spent.epsilon)
    assert len(revealed()) == 3
    assert verify().ok
    assert advancing.advance(study.pk) == 0
    assert study.pk not in advancing.due()


def test_the_sweeper_finds_an_end_that_nobody_woke_for(audited, sites, lead):
    study = train(audited, sites)
    studies.withdraw(study, by=lead)
    study.rounds.filter(status="open").update(status="failed")  # the process died after this
    assert study.pk in advancing.due()
    advance(study)
    assert study.rounds.filter(phase=REVEAL, status="open").exists()


def test_nothing_is_charged_for_it(audited, sites, lead):
    study = end(train(audited, sites), "withdrawn", lead)
    before = Entry.objects.exclude(kind="revealed").count()
    for site in sites.values():
        reveal(site)
    advance(study)
    assert Entry.objects.exclude(kind="revealed").count() == before


def test_before_any_model_there_is_nothing_to_judge_and_that_is_said(audited, lead):
    study = end(audited, "withdrawn", lead)
    assert not study.rounds.filter(phase=REVEAL).exists()
    reason = "the study ended before any round made a model: nothing can tell its canaries apart"
    assert missing(study) == dict.fromkeys(SLUGS, reason)
    assert states(study)["zurich"].reason == reason
    assert advancing.advance(study.pk) == 0
    assert study.pk not in advancing.due()


def test_who_left_before_is_named(audited, sites, lead):
    study = train(audited, sites)
    participations.withdraw(study.participations.get(institution__slug="zurich"), by=lead)
    end(study, "withdrawn", lead)
    for slug in ("budapest", "cleveland"):
        reveal(sites[slug])
    assert sites["zurich"].take() is None
    advance(study)
    assert missing(study) == {"zurich": "left the study before its coins were revealed"}
    assert len(revealed()) == 2


def test_who_does_not_answer_is_named_after_the_deadline(audited, sites, lead):
    study = end(train(audited, sites), "withdrawn", lead)
    reveal(sites["budapest"])
    advance(study, later=61)
    assert set(missing(study)) == {"cleveland", "zurich"}
    assert "did not reveal its coins" in missing(study)["zurich"]
    assert study.rounds.order_by("-attempt").first().status == "closed"


def test_an_end_during_the_last_rounds_reveal_lets_it_end(start, sites, lead):
    one = {"count": 1, "deadline_seconds": 60}
    study = advance(start(audit={"canaries": CANARIES}, **LONG | {"rounds": one}))
    for site in sites.values():
        bind(site)
    advance(study)
    train(study, sites)
    end(study, "withdrawn", lead)
    for site in sites.values():
        reveal(site)
    advance(study)
    assert study.status == "withdrawn"
    assert {row.state for row in audits(study)} == {"measured"}
    assert study.rounds.count() == 1


def test_no_training_is_handed_out_after_the_end(audited, sites, lead):
    study = train(audited, sites)
    task = sites["zurich"].take()
    update = pack(sites["zurich"].computed(task))
    end(study, "withdrawn", lead)
    assert sites["zurich"].upload(task, update).status_code == 409
    assert sites["zurich"].take().phase == REVEAL


def test_the_rounds_page_counts_models_only(audited, sites, lead):
    study = end(train(audited, sites), "withdrawn", lead)
    for site in sites.values():
        reveal(site)
    advance(study)
    board = seen_rounds(live.timeline(study), set(SLUGS), 4)
    assert [bead.status for bead in board.beads] == ["closed", "failed", "planned", "planned"]
    assert board.newest.row.phases == (REVEAL,)
    assert "its coins were asked for" in board.newest.row.reason
    assert len(models.checkpoints(study)) == 2  # the initial one, and the one that closed
    assert not Assignment.objects.filter(status__in=("open", "taken")).exists()


def test_a_site_that_forgot_its_coins_is_named(audited, sites, lead):
    study = end(train(audited, sites), "withdrawn", lead)
    for site in sites.values():
        site.refuse(site.take(), messages.Reason.LOCAL_FAILURE, accessed=False)
    advance(study)
    assert set(missing(study)) == set(SLUGS)
    assert not revealed()


def test_real_sites_reveal_and_the_broken_build_is_told(start, real_sites, lead, monkeypatch):
    study = advance(start(**SECTIONS | {"rounds": {"count": 5, "deadline_seconds": 60}}))
    with noise_over_the_batch(monkeypatch):
        while study.checkpoints.count() < 4:
            for site in real_sites.values():
                work(site)
            advance(study)
    study.refresh_from_db()
    end(study, "withdrawn", lead)
    for site in real_sites.values():
        assert work(site) == REVEAL
    advance(study)
    assert study.status == "withdrawn"
    assert Event.objects.filter(kind="audit_failed").exists()
    assert {row.state for row in audits(study)} <= {"refuted", "measured"}
    assert study.ended_at < timezone.now()
    assert verify().ok
    assert run(study, real_sites) == study
