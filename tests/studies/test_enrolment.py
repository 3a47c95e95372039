"""A token pins one site's key once, for a day, and a new one replaces key and older tokens."""

import hashlib
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from studies.models import EnrolmentToken, Event, Institution, Role
from studies.services import institutions
from studies.services.enrolment import fingerprint
from studies.services.errors import EnrolmentRefused
from tests.studies.conftest import hospital, person

KEY, OTHER_KEY = "ab" * 32, "cd" * 32


def test_only_the_digest_of_the_token_is_kept(token):
    row = EnrolmentToken.objects.get()
    assert row.token_digest == hashlib.sha256(token.encode()).hexdigest()
    assert row.expires_at - row.issued_at == timedelta(hours=24)
    assert len(token) >= 43  # 32 bytes in URL-safe base 64
    assert token not in str(list(Event.objects.values()))


def test_enrolment_pins_the_key_and_records_both_fingerprints(token, hospitals, cast):
    old = hospitals.zurich.site_key
    institution = institutions.enrol(token, KEY)
    assert institution == hospitals.zurich
    assert Institution.objects.get(pk=institution.pk).site_key == KEY
    event = Event.objects.get(kind="site_enrolled")
    assert event.payload == {"key": fingerprint(KEY), "previous_key": fingerprint(old)}
    assert (event.institution, event.by) == (institution, cast.zoe)


def test_a_token_works_once(token):
    institutions.enrol(token, KEY)
    with pytest.raises(EnrolmentRefused, match="used already"):
        institutions.enrol(token, OTHER_KEY)
    assert Institution.objects.get(slug="zurich").site_key == KEY


def test_a_token_lives_for_a_day(token):
    issued = EnrolmentToken.objects.get().issued_at
    with pytest.raises(EnrolmentRefused, match="expired"):
        institutions.enrol(token, KEY, now=issued + timedelta(hours=24))
    institutions.enrol(token, KEY, now=issued + timedelta(hours=24, seconds=-1))


def test_a_new_token_voids_the_older_unused_one(token, hospitals, cast):
    newer = institutions.issue_token(hospitals.zurich, by=cast.zoe)
    with pytest.raises(EnrolmentRefused, match="expired or was replaced"):
        institutions.enrol(token, KEY)
    institutions.enrol(newer, KEY)


def test_a_new_token_leaves_other_institutions_tokens_alone(token, hospitals, cast):
    institutions.issue_token(hospitals.budapest, by=cast.bela)
    assert institutions.enrol(token, KEY).slug == "zurich"


@pytest.mark.parametrize("token", ["", "guess", "ü" * 50, "x" * 100_000])
def test_an_unknown_token_is_refused(token, db):
    with pytest.raises(EnrolmentRefused, match="not known"):
        institutions.enrol(token, KEY)


@pytest.mark.parametrize("key", ["", "AB" * 32, "ab" * 31, "zz" * 32, "ab" * 32 + "\n"])
def test_a_key_that_is_none_does_not_use_the_token_up(key, token):
    with pytest.raises(EnrolmentRefused, match="64 lower-case"):
        institutions.enrol(token, key)
    institutions.enrol(token, KEY)


def test_one_key_belongs_to_one_site(token, hospitals):
    with pytest.raises(EnrolmentRefused, match="another site"):
        institutions.enrol(token, hospitals.cleveland.site_key)
    assert EnrolmentToken.objects.get().used_at is None
    institutions.enrol(token, KEY)


def test_a_revoked_key_and_its_pending_token_are_gone(token, hospitals, cast):
    institutions.revoke_key(hospitals.zurich, by=cast.zoe)
    assert Institution.objects.get(slug="zurich").site_key == ""
    with pytest.raises(EnrolmentRefused, match="replaced"):
        institutions.enrol(token, KEY)
    with pytest.raises(EnrolmentRefused, match="no enrolled site"):
        institutions.revoke_key(hospitals.zurich, by=cast.zoe)


@pytest.mark.django_db(transaction=True)
def test_of_racing_enrolments_exactly_one_wins():
    zurich = hospital("zurich", "33")
    token = institutions.issue_token(zurich, by=person("zoe", Role.SITE_ADMIN, zurich))
    outcomes: list[str] = []
    together = threading.Barrier(4)

    def race(key: str) -> None:
        together.wait()
        try:
            outcomes.append(institutions.enrol(token, key).site_key)
        except EnrolmentRefused as error:
            outcomes.append(str(error))
        finally:
            connection.close()

    racers = [threading.Thread(target=race, args=(f"{n}a" * 32,)) for n in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    winners = [outcome for outcome in outcomes if "used already" not in outcome]
    assert winners == [Institution.objects.get().site_key]
    assert EnrolmentToken.objects.get().used_at <= timezone.now()
    assert Event.objects.filter(kind="site_enrolled").count() == 1
