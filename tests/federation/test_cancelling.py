"""A lead cancels an open round: it keeps its charges, stops its sites, and the study goes on."""

from types import SimpleNamespace

import pytest

from accounting.models import Entry
from accounting.reports.build import build
from accounting.services.verification import verify
from federation.models import Assignment, Contribution, Round
from federation.protocol import messages
from federation.protocol.messages import Reason
from federation.protocol.tensors import pack
from federation.selectors import live, models
from federation.services.cancelling import CANCELLED, CannotCancel, Wish, cancel
from studies.services import studies
from tests.federation.bookkeeping import found
from tests.federation.conftest import advance, kinds
from tests.federation.test_concurrency import at_once

WISH = Wish(round=1, attempt=1, reason="the wrong clip", pause=False)
PAUSE = Wish(round=1, attempt=1, reason="the wrong clip", pause=True)


@pytest.fixture
def working(study, sites):
    """One site answered, one computes, one has not begun."""
    sites["budapest"].work()
    return SimpleNamespace(study=study, task=sites["cleveland"].take())


def states(study, number=1, attempt=1):
    rows = {(row.number, row.attempt): row for row in live.timeline(study)}
    return {cell.institution: cell.state for cell in rows[number, attempt].sites}


def progress(site, task, step=2):
    body = b'{"step": %d, "steps": 4}' % step
    return site.send("POST", f"assignments/{task.assignment}/progress", body).status_code


# What becomes of the charges.


def test_what_was_taken_stays_charged_and_the_rest_goes_back(working, lead):
    cancel(working.study, WISH, by=lead)
    assert kinds(working.study, "budapest") == ["reserved", "charged", "released"]
    assert kinds(working.study, "cleveland") == ["reserved", "charged", "lost"]
    assert kinds(working.study, "zurich") == ["reserved", "aborted"]
    reasons = Entry.objects.filter(kind__in=("lost", "aborted")).values_list("body", flat=True)
    assert all(CANCELLED in body for body in reasons)
    assert verify().ok


def test_the_seats_say_what_happened(working, lead):
    cancel(working.study, WISH, by=lead)
    found = {"budapest": "answered", "cleveland": "stopped", "zurich": "unused"}
    assert states(working.study) == found
    row = live.current(working.study)
    assert (row.status, row.reason) == ("failed", "Ada cancelled it: the wrong clip")


def test_nobody_is_blamed_for_not_answering(working, lead):
    cancel(working.study, WISH, by=lead)
    told = set(working.study.events.values_list("kind", flat=True))
    assert "round_cancelled" in told
    assert not told & {"assignment_lost", "round_failed"}
    event = working.study.events.get(kind="round_cancelled")
    assert (event.by, event.payload["reason"]) == (lead, "the wrong clip")


def test_the_report_names_who_cancelled_and_why(working, lead):
    cancel(working.study, WISH, by=lead)
    rows = build(working.study).document["incidents"]
    (row,) = [row for row in rows if row["what"] == "round cancelled"]
    assert (row["approved_by"], row["reason"]) == ("ada", "the wrong clip")
    assert CANCELLED in {row["reason"] for row in rows}


# How the study goes on.


def test_the_study_goes_on_with_another_attempt(working, lead, sites):
    cancel(working.study, WISH, by=lead)
    study = advance(working.study)
    assert study.status == "running"
    assert Round.objects.get(number=1, attempt=2).status == "open"
    for site in sites.values():
        site.work()
    advance(study)
    assert kinds(study, "cleveland", 1, 2)[-1] == "acknowledged"
    assert models.checkpoints(study)[1].contributors == tuple(sorted(sites))


def test_or_it_waits_for_its_lead(working, lead):
    cancel(working.study, PAUSE, by=lead)
    study = advance(working.study)
    assert (study.status, study.status_reason) == ("paused", "the wrong clip")
    assert Round.objects.count() == 1
    studies.resume(study, by=lead)
    advance(study)
    assert Round.objects.get(number=1, attempt=2).status == "open"


def test_a_paused_study_stays_paused(working, lead):
    studies.pause(working.study, by=lead)
    cancel(working.study, PAUSE, by=lead)
    study = advance(working.study)
    assert study.status == "paused"
    assert Round.objects.get().status == "failed"


def test_it_may_still_be_closed_on_what_came(study, sites, lead):
    """Nobody waits for the slow one, and its absence is a person's decision with a reason."""
    sites["budapest"].work()
    sites["cleveland"].work()
    sites["zurich"].take()
    cancel(study, PAUSE, by=lead)
    assert live.can_close_below_quorum(advance(study)).contributors == ("budapest", "cleveland")


def test_a_model_that_was_made_stands(start, sites, lead):
    study = advance(start(rounds={"count": 1}))
    for site in sites.values():
        site.work()
    advance(study)
    sites["zurich"].work()  # its histogram
    sites["budapest"].take()
    cancel(study, WISH, by=lead)
    advance(study)
    assert study.status == "completed"
    assert models.latest(study).contributors == tuple(sorted(sites))
    assert models.latest(study).sites["contributors"] == ["zurich"]
    assert kinds(study, "budapest", phase="evaluate") == ["reserved", "charged", "lost"]
    assert kinds(study, "cleveland", phase="evaluate") == ["reserved", "aborted"]


# What the sites see.


def test_a_site_that_trains_hears_of_it_and_stops(working, lead, sites):
    site, task = sites["cleveland"], working.task
    assert progress(site, task) == 204
    cancel(working.study, WISH, by=lead)
    assert progress(site, task, 3) == 409
    assert site.refuse(task, Reason.CANCELLED, accessed=True).status_code == 409
    assert Contribution.objects.get(assignment__uid=task.assignment).accepted is False
    told = working.study.events.get(kind="assignment_stopped")
    assert (told.institution.slug, told.payload.get("reason")) == ("cleveland", None)
    assert kinds(working.study, "cleveland") == ["reserved", "charged", "lost"]


def test_what_a_site_sent_before_is_kept_and_charged(working, lead, sites):
    cancel(working.study, WISH, by=lead)
    advance(working.study)
    assert kinds(working.study, "budapest") == ["reserved", "charged", "released"]  # in no model
    (row,) = build(working.study, sites["budapest"].institution).document["releases"]["released"]
    assert row["became_part_of"] == "no model"


def test_what_a_site_sends_after_it_is_not_used(working, lead, sites):
    site, task = sites["cleveland"], working.task
    data = pack(site.computed(task))
    site.upload(task, data)
    cancel(working.study, WISH, by=lead)
    envelope = messages.sign(site.contribution(task, data), site.key)
    assert site.answer(task, envelope).status_code == 409
    assert working.study.events.filter(kind="contribution_rejected").count() == 1
    assert kinds(working.study, "cleveland")[-1] == "lost"


def test_a_site_that_has_not_begun_gets_nothing_of_it(working, lead, sites):
    cancel(working.study, PAUSE, by=lead)
    assert sites["zurich"].take() is None


def test_journal_and_ledger_agree_about_it(keepers, study, zurich, lead):
    task = zurich.take()
    place = zurich.charge(task)
    cancel(study, WISH, by=lead)
    envelope = zurich.site.refusal(task, Reason.CANCELLED, accessed=True, charge=place)
    assert zurich.site.answer(task, envelope).status_code == 409
    zurich.tell()
    advance(study)
    assert (found(), study.status) == ([], "running")


# Twice, too late, and what cannot be.


def test_a_second_cancel_changes_nothing(working, lead):
    cancel(working.study, WISH, by=lead)
    before = Entry.objects.count()
    with pytest.raises(CannotCancel, match="no round is open"):
        cancel(working.study, WISH, by=lead)
    advance(working.study)  # the next attempt is open: it is not the one that was meant
    with pytest.raises(CannotCancel, match=r"attempt 1\) has ended meanwhile"):
        cancel(working.study, WISH, by=lead)
    assert Round.objects.get(attempt=2).status == "open"
    assert Entry.objects.count() == before + 3  # the new reservations


def test_two_leads_at_once_cancel_once(working, lead):
    def tried():
        try:
            return cancel(type(working.study).objects.get(pk=working.study.pk), WISH, by=lead)
        except CannotCancel:
            return None

    done = at_once(tried, tried)
    assert sum(result is not None for result in done) == 1
    assert working.study.events.filter(kind="round_cancelled").count() == 1
    assert kinds(working.study, "cleveland") == ["reserved", "charged", "lost"]


def test_an_answer_at_the_same_moment_counts_wholly_or_not_at_all(working, lead, sites):
    site, task = sites["cleveland"], working.task
    data = pack(site.computed(task))
    site.upload(task, data)
    envelope = messages.sign(site.contribution(task, data), site.key)
    answer, _ = at_once(
        lambda: site.answer(task, envelope), lambda: cancel(working.study, WISH, by=lead)
    )
    status = Assignment.objects.get(uid=task.assignment).status
    expected = {200: ("answered", "released"), 409: ("lost", "lost")}
    assert (status, kinds(working.study, site)[-1]) == expected[answer.status_code]
    assert verify().ok


def test_a_take_at_the_same_moment_is_charged_or_gets_nothing(working, lead, sites):
    took, _ = at_once(sites["zurich"].take, lambda: cancel(working.study, PAUSE, by=lead))
    last = "aborted" if took is None else "lost"
    assert kinds(working.study, "zurich")[-1] == last


def test_a_round_that_is_closing_is_not_cancelled(study, sites, lead):
    for site in sites.values():
        site.work()
    with pytest.raises(CannotCancel, match="every site has answered"):
        cancel(study, WISH, by=lead)
    assert live.cancellable(study) is None


def test_a_reason_is_needed(working, lead):
    with pytest.raises(CannotCancel, match="say why"):
        cancel(working.study, Wish(1, 1, "  ", pause=False), by=lead)
    assert live.cancellable(working.study) is not None


@pytest.mark.parametrize("phase", ["commit", "reveal"])
def test_coins_can_be_waited_for_but_not_dodged(start, sites, lead, phase):
    """An audit that would embarrass somebody is not cancelled; one that has not begun may be."""
    study = advance(start(audit={"canaries": 10}))
    Round.objects.update(phase=phase)
    Assignment.objects.update(phase=phase)
    if phase == "reveal":
        with pytest.raises(CannotCancel, match="coins"):
            cancel(study, WISH, by=lead)
        assert live.cancellable(study) is None
    else:
        cancel(study, WISH, by=lead)
        assert Round.objects.get().status == "failed"
