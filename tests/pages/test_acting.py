"""The lead moves a study on: a question first, then the deed; what cannot be is a sentence."""

import pytest
from django.urls import reverse

from studies.states import STUDY_MOVES
from studies.views.acting import STUDY_DEEDS


@pytest.fixture
def ada(cast, browse):
    return browse(cast.ada)


def act(client, study, action, **data):
    return client.post(reverse("study-action", args=(study.slug, action)), data, follow=True)


def test_every_move_of_the_lead_has_a_page():
    moves = {move.action for move in STUDY_MOVES if move.who == "lead"}
    assert moves - {"revise"} == set(STUDY_DEEDS)  # revising has the form


def test_a_study_from_draft_to_paused_and_back(ada, draft, cast):
    page = ada.get(reverse("study-action", args=(draft.slug, "submit"))).content.decode()
    assert "Submit this study for approval?" in page
    draft.refresh_from_db()
    assert draft.status == "draft"
    for action, status in (("submit", "submitted"), ("withdraw", "withdrawn")):
        act(ada, draft, action, reason="enough")
        draft.refresh_from_db()
        assert draft.status == status


def test_running_is_paused_and_resumed(ada, running):
    for action, status in (("pause", "paused"), ("resume", "running")):
        act(ada, running, action)
        running.refresh_from_db()
        assert running.status == status


def test_what_is_not_ready_names_whom_it_waits_for(ada, submitted):
    html = act(ada, submitted, "start").content.decode()
    assert "Cleveland has not decided yet" in html
    submitted.refresh_from_db()
    assert submitted.status == "submitted"


def test_an_illegal_move_says_what_is_possible(ada, draft):
    html = act(ada, draft, "pause").content.decode()
    assert "Cannot pause while draft; possible now: submit" in html


def test_withdrawing_needs_a_reason(ada, running):
    assert "This field is required" in act(ada, running, "withdraw").content.decode()
    running.refresh_from_db()
    assert running.status == "running"


@pytest.mark.parametrize("action", ["hold", "complete", "exhaust", "fail", "delete", "revise"])
def test_the_moves_of_the_engine_have_no_page(ada, running, action):
    assert ada.get(reverse("study-action", args=(running.slug, action))).status_code == 404


def test_a_closed_study_offers_nothing(ada, draft):
    act(ada, draft, "withdraw", reason="a mistake")
    html = ada.get(reverse("study", args=(draft.slug,))).content.decode()
    assert 'id="do-' not in html
    assert "a mistake" in html


@pytest.mark.parametrize("who", ["carla", "olga", "otto"])
def test_who_does_not_lead_sees_no_buttons_of_the_lead(cast, browse, running, who):
    html = browse(getattr(cast, who)).get(reverse("study", args=(running.slug,))).content.decode()
    assert 'id="do-' not in html
