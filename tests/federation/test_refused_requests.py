"""Who may speak at all: signatures, replays, clocks, foreign objects, sizes, methods, tokens."""

import json
from datetime import timedelta

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisDown

from accounting.services.hub_key import hub_key
from federation.models import Assignment
from federation.protocol.keys import SigningKey
from federation.protocol.messages import Reason, enrolment_proof
from studies.models import Institution
from studies.services import institutions
from tests.federation.sites import API, error_of, post

WAIT = "assignments?wait=0"


def test_an_unsigned_request_is_refused(study):
    response = post("GET", WAIT, b"", {})
    assert response.status_code == 401
    assert "signed" in error_of(response)


def test_a_session_opens_nothing(study, lead):
    client = Client()
    client.force_login(lead)
    assert client.get(API + WAIT).status_code == 401


def test_a_key_that_is_not_the_pinned_one_is_refused(study, sites):
    response = sites["zurich"].send("GET", WAIT, key=SigningKey.generate())
    assert response.status_code == 401


def test_another_sites_key_does_not_open_this_sites_things(study, sites):
    response = sites["zurich"].send("GET", WAIT, key=sites["budapest"].key)
    assert response.status_code == 401


def test_an_unknown_site_is_refused(study, sites):
    assert sites["zurich"].send("GET", WAIT, key_id="nowhere").status_code == 401


def test_a_revoked_key_is_refused_at_once(study, sites):
    Institution.objects.filter(slug="zurich").update(site_key="")
    assert sites["zurich"].send("GET", WAIT).status_code == 401


def test_a_request_works_once(study, sites):
    headers = sites["zurich"].signed("GET", WAIT)
    assert post("GET", WAIT, b"", headers).status_code == 200
    replay = post("GET", WAIT, b"", headers)
    assert replay.status_code == 401
    assert "came before" in error_of(replay)


@pytest.mark.parametrize("minutes", [-2, 2])
def test_a_clock_that_is_far_off_is_told_so(study, sites, minutes):
    at = timezone.now() + timedelta(minutes=minutes)
    response = sites["zurich"].send("GET", WAIT, now=at)
    assert response.status_code == 401
    assert "clock" in error_of(response)


def test_path_query_and_body_are_covered_by_the_signature(study, sites):
    site = sites["zurich"]
    assert post("GET", "assignments?wait=9", b"", site.signed("GET", WAIT)).status_code == 401
    assert post("GET", "hello", b"", site.signed("GET", WAIT)).status_code == 401
    changed = post("PUT", "offer", b"other", site.signed("PUT", "offer", b"this"))
    assert changed.status_code == 401


def test_without_the_cache_replay_cannot_be_judged(study, sites, monkeypatch):
    def down(*args, **kwargs):
        raise RedisDown

    monkeypatch.setattr(LocMemCache, "add", down)
    response = sites["zurich"].send("GET", WAIT)
    assert response.status_code == 503
    assert response["Retry-After"] == "1"


def test_anothers_assignment_does_not_exist(study, sites):
    task = sites["zurich"].take()
    other = sites["budapest"]
    answers = [
        other.send("GET", f"assignments/{task.assignment}/model"),
        other.upload(task, b"x"),
        other.send("POST", f"assignments/{task.assignment}/progress", b'{"step":1,"steps":4}'),
        other.refuse(task, Reason.CANCELLED, accessed=False),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert Assignment.objects.get(uid=task.assignment).status == "taken"


def test_a_protocol_is_handed_to_those_who_approved_it_only(study, sites, start):
    path = f"protocols/{study.protocol_digest}"
    assert sites["zurich"].send("GET", path).status_code == 200
    assert sites["zurich"].send("GET", f"{path}?study=another").status_code == 404
    study.participations.filter(institution__slug="zurich").update(status="withdrawn")
    assert sites["zurich"].send("GET", path).status_code == 404


def test_a_large_control_message_is_not_read(study, sites):
    response = sites["zurich"].send("PUT", "offer", b"x" * 80_000)
    assert response.status_code == 413


def test_other_methods_are_named(study, sites):
    response = sites["zurich"].send("DELETE", "hello")
    assert response.status_code == 405
    assert "GET" in error_of(response)


def test_hello_tells_who_and_when(study, sites):
    document = sites["zurich"].send("GET", "hello").json()
    assert document["institution"] == "zurich"
    assert document["hub_key"] == hub_key().public


@pytest.fixture
def newcomer(lead):
    institution = institutions.register(name="Long Beach", by=lead)
    return institution, institutions.issue_token(institution, by=lead)


def enrol(token: str, key: SigningKey, /, **changes: object):
    document = {
        "token": token,
        "public_key": key.public,
        "proof": enrolment_proof(token, key),
        "software": "test",
    } | changes
    return post("POST", "enrol", json.dumps(document).encode(), {})


def test_a_token_pins_a_key_once(newcomer):
    institution, token = newcomer
    key = SigningKey.generate()
    answer = enrol(token, key).json()
    assert (answer["institution"], answer["hub_key"]) == ("long-beach", hub_key().public)
    institution.refresh_from_db()
    assert institution.site_key == key.public
    again = enrol(token, SigningKey.generate())
    assert again.status_code == 403
    assert "used" in error_of(again)
    institution.refresh_from_db()
    assert institution.site_key == key.public


def test_a_token_is_worth_nothing_without_the_key_it_is_shown_with(newcomer):
    institution, token = newcomer
    mine, theirs = SigningKey.generate(), SigningKey.generate()
    assert enrol(token, mine, public_key=theirs.public).status_code == 403
    assert enrol(token, mine, role="operator").status_code == 400
    assert enrol(token, mine, token=7).status_code == 400
    institution.refresh_from_db()
    assert institution.site_key == ""


def test_guessing_tokens_is_slowed_down(db):
    key = SigningKey.generate()
    codes = [enrol(f"guess-{n}", key).status_code for n in range(21)]
    assert codes == [403] * 20 + [429]
