"""The lead cancels a round from the live page: asked first, with the reason, once."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounting.services import ledger
from federation.models import CANCELLED, Assignment, Round
from federation.services import opening
from studies.selectors.protocols import protocol_of
from tests.pages.markup import Page

SAID = {"round": 2, "attempt": 1, "reason": "the wrong clip", "then": "pause"}


@pytest.fixture
def address(played, hospitals):
    """Budapest's part of the open round is reserved and charged, as `played` says."""
    parts = played.participations.filter(institution=hospitals.budapest)
    (wanted,) = opening.reservations(played, protocol_of(played), list(parts), (2, 1))
    ledger.reserve_all([wanted])
    ledger.charge(wanted.key)
    return reverse("round-cancel", args=(played.slug,))


@pytest.fixture
def ada(cast, browse):
    return browse(cast.ada)


def panel(browser, played):
    return browser.get(reverse("panel-rounds", args=(played.slug,))).content.decode()


def test_the_live_page_offers_it_to_the_lead_alone(played, address, cast, browse):
    assert f'href="{address}"' in panel(browse(cast.ada), played)
    for who in (cast.carla, cast.olga):
        assert address not in panel(browse(who), played)
        assert browse(who).get(address).status_code == 403
        assert browse(who).post(address, SAID).status_code == 403
    assert Round.objects.get(number=2).status == "open"


def test_the_question_says_who_stays_charged(played, address, ada):
    html = ada.get(address).content.decode()
    assert Page(html).page_faults() == []
    assert "Budapest: computing now" in html
    assert "Cleveland: answered already, and charged" in html
    assert "Another attempt asks everybody again" in html


def test_a_round_that_has_its_model_only_loses_its_evaluation(played, address, ada):
    html = ada.get(address).content.decode()
    assert "Go on at once: another attempt, which is charged again" in html
    Round.objects.filter(number=2).update(phase="evaluate")
    Assignment.objects.filter(status="taken").update(phase="evaluate")
    html = ada.get(address).content.decode()
    assert "The model of this round stands" in html
    assert "Go on at once with the next round" in html
    assert "charged again" not in html


def test_it_is_cancelled_with_a_reason(played, address, ada, cast):
    assert "This field is required" in ada.post(address, SAID | {"reason": ""}).content.decode()
    html = ada.post(address, SAID, follow=True).content.decode()
    assert "Round 2 is cancelled; its sites stop at their next step" in html
    played.refresh_from_db()
    assert (played.status, Round.objects.get(number=2).status) == ("paused", "failed")
    told = ada.get(reverse("panel-events", args=(played.slug,))).content.decode()
    assert "cancelled round 2" in told
    assert "the wrong clip" in told
    html = panel(ada, played)
    assert f"{cast.ada.get_full_name() or cast.ada.username} cancelled it: the wrong clip" in html
    assert "Stopped" in html
    assert CANCELLED.replace("'", "&#x27;") in html
    assert 'id="do-cancel-round"' not in html


def test_a_second_click_is_answered_with_a_sentence(played, address, ada):
    ada.post(address, SAID)
    html = ada.post(address, SAID, follow=True).content.decode()
    assert "No round is open; it has ended or was cancelled already." in html
    assert ada.get(address).status_code == 404


@pytest.mark.parametrize("fields", [{"round": 9}, {"attempt": 2}])
def test_another_round_than_the_one_shown_is_not_cancelled(played, address, ada, fields):
    html = ada.post(address, SAID | fields, follow=True).content.decode()
    assert "has ended meanwhile; round 2 (attempt 1) is open now and goes on" in html
    assert Round.objects.get(number=2).status == "open"


def test_what_to_do_then_has_to_be_said(played, address, ada):
    html = ada.post(address, SAID | {"then": "delete"}).content.decode()
    assert "Select a valid choice" in html
    assert Round.objects.get(number=2).status == "open"


def test_the_live_page_tells_rate_and_remaining_time(played, address, ada):
    now = timezone.now()
    heard = {"first_step": 10, "first_step_at": now - timedelta(seconds=60), "step_at": now}
    Assignment.objects.filter(status="taken").update(step=40, steps=100, **heard)
    words = "step 40 of 100 · 30 steps a minute, about 2 minutes left"
    assert words in panel(ada, played)
    line = ada.get(reverse("panel-progress", args=(played.slug,))).content.decode()
    assert "waiting for Budapest (step 40 of 100, 30 steps a minute, about 2 minutes left)" in line


def test_it_says_when_a_site_will_miss_the_deadline(played, address, ada):
    now = timezone.now()
    heard = {"first_step": 1, "first_step_at": now - timedelta(seconds=60), "step_at": now}
    Assignment.objects.filter(status="taken").update(step=2, steps=10**6, **heard)
    assert "left: after the deadline" in panel(ada, played)
