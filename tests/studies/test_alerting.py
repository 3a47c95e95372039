"""Alerts: who hears of what, once, and what happens when nobody takes them."""

import json
from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from studies.alerts import ALERTS, Severity, kinds
from studies.kinds import KINDS
from studies.models import Delivery, DeliveryStatus, Event, Membership
from studies.services import alerting, events, explanations, sending, subscriptions
from studies.services.explanations import ExplanationRefused
from studies.services.subscriptions import SubscriptionRefused, subscribe

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def wants(person, severity="notice"):
    return subscribe(person, "email", f"{person.username}@example.org", severity)


def lost(study, institution):
    return events.record("assignment_lost", study=study, institution=institution, round=1)


def received() -> list[str]:
    return sorted(address for message in mail.outbox for address in message.to)


def test_every_alert_has_a_sentence_once_its_part_is_built():
    waiting = {"audit_failed", "budget_raised", "journal_mismatch", "witness_failed"}
    assert set(ALERTS) - set(KINDS) <= waiting


def test_alarms_are_a_part_of_all_alerts():
    assert set(kinds(Severity.ALARM)) < set(kinds())
    assert set(kinds()) == set(ALERTS)


def test_an_alert_reaches_those_who_may_see_it_and_nobody_else(submitted, hospitals, cast):
    for who in (cast.ada, cast.carla, cast.bela, cast.zoe, cast.olga, cast.otto, cast.olaf):
        wants(who)
    lost(submitted, hospitals.cleveland)
    assert alerting.sweep() == 4
    who = ("ada", "carla", "olga", "otto")
    assert received() == [f"{name}@example.org" for name in who]


def test_what_concerns_a_house_alone_stays_with_its_own_people(hospitals, cast):
    for who in (cast.ada, cast.carla, cast.bela, cast.olga, cast.otto, cast.olaf, cast.petra):
        wants(who)
    events.record("budget_low", institution=hospitals.cleveland, what="dataset x", percent=81)
    alerting.sweep()
    assert received() == ["carla@example.org", "olga@example.org", "otto@example.org"]


def test_what_breaks_the_whole_ledger_reaches_who_oversees_everything(cast):
    for who in (cast.ada, cast.carla, cast.olga, cast.otto):
        wants(who)
    events.record("ledger_broken", reason="ledger broken at entry 3", entries=3, head="0" * 64)
    alerting.sweep()
    assert received() == ["olga@example.org"]
    assert "ledger broken at entry 3" in mail.outbox[0].body


def test_nothing_is_sent_twice_and_nothing_from_before_the_subscription(submitted, hospitals, cast):
    lost(submitted, hospitals.cleveland)
    wants(cast.olga)
    assert alerting.sweep() == 0
    lost(submitted, hospitals.budapest)
    assert [alerting.sweep(), alerting.sweep()] == [1, 0]
    assert len(mail.outbox) == 1


def test_several_alerts_travel_in_one_mail(submitted, hospitals, cast):
    wants(cast.olga)
    lost(submitted, hospitals.cleveland)
    lost(submitted, hospitals.budapest)
    assert alerting.sweep() == 2
    (message,) = mail.outbox
    assert message.subject.startswith("[Cloister] 2 alerts, first: Cleveland did not answer")
    assert "Budapest did not answer in round 1" in message.body
    assert "/violations/" in message.body


def test_who_wants_alarms_only_hears_of_alarms_only(submitted, hospitals, cast):
    wants(cast.olga, "alarm")
    lost(submitted, hospitals.cleveland)
    events.record("study_exhausted", study=submitted)
    alerting.sweep()
    (message,) = mail.outbox
    assert "exhausted" in message.body
    assert "did not answer" not in message.body


def test_a_role_taken_away_stops_what_is_on_its_way(submitted, hospitals, cast, monkeypatch):
    wants(cast.otto)
    lost(submitted, hospitals.cleveland)
    monkeypatch.setattr(sending, "send", broken_post)
    alerting.sweep(NOW)
    Membership.objects.filter(person=cast.otto).delete()
    monkeypatch.undo()
    assert alerting.sweep(NOW + timedelta(hours=1)) == 0
    assert Delivery.objects.get().status == DeliveryStatus.DROPPED
    assert mail.outbox == []


def broken_post(*_):
    raise sending.NotSent("the mail server did not take it (ConnectionRefusedError)")


def test_what_is_not_taken_is_tried_again_later_and_given_up_visibly(
    submitted, hospitals, cast, monkeypatch
):
    wants(cast.olga)
    lost(submitted, hospitals.cleveland)
    monkeypatch.setattr(sending, "send", broken_post)
    now = timezone.now()
    assert alerting.sweep(now) == 0
    first = Delivery.objects.get()
    assert (first.attempts, first.status) == (1, DeliveryStatus.WAITING)
    assert "did not take it" in first.problem
    alerting.sweep(now + timedelta(seconds=1))  # too early
    assert Delivery.objects.get().attempts == 1
    for _ in range(alerting.MOST_ATTEMPTS):
        now += alerting.LONGEST_WAIT
        alerting.sweep(now)
    last = Delivery.objects.get()
    assert (last.attempts, last.status) == (alerting.MOST_ATTEMPTS, DeliveryStatus.FAILED)


def test_a_mail_server_that_is_away_is_tried_again(submitted, hospitals, cast, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    wants(cast.olga)
    lost(submitted, hospitals.cleveland)
    assert alerting.sweep() == 0
    assert Delivery.objects.get().problem == (
        "the mail server did not take it (ConnectionRefusedError)"
    )


def test_a_lease_keeps_a_second_worker_from_sending_the_same(submitted, hospitals, cast):
    wants(cast.olga)
    lost(submitted, hospitals.cleveland)
    alerting._look(cast.olga.subscriptions.get(), NOW)
    later = timezone.now() + timedelta(seconds=1)
    assert len(alerting._claim(later)) == 1
    assert alerting._claim(later) == []
    assert len(alerting._claim(later + alerting.LEASE)) == 1  # its worker was killed


def test_an_explanation_is_given_once_and_kept(submitted, hospitals, cast):
    event = lost(submitted, hospitals.cleveland)
    said = explanations.explain(event, "The site was being moved.", by=cast.olga)
    assert explanations.explain(event, "The site was being moved.", by=cast.olga) == said
    with pytest.raises(ExplanationRefused, match="has explained it already"):
        explanations.explain(event, "It was not.", by=cast.otto)
    assert Event.objects.filter(kind="alert_explained").count() == 1


@pytest.mark.parametrize("text", ["", "  ", "ok", "x" * 2001])
def test_an_explanation_says_something(text, submitted, cast):
    with pytest.raises(ExplanationRefused, match="in a sentence"):
        explanations.explain(submitted.events.first(), text, by=cast.olga)


@pytest.mark.parametrize(
    ("channel", "address", "why"),
    [
        ("email", "nobody", "no e-mail address"),
        ("email", "a@b.c\nBcc: x@y.z", "no e-mail address"),
        ("webhook", "http://hooks.example.org/x", "over https"),
        ("webhook", "https://169.254.169.254/latest", "hosts that the operator allowed"),
        ("webhook", "https://user@hooks.example.org/", "over https"),
        ("webhook", "https://hooks.example.org.evil.net/", "CLOISTER_WEBHOOK_HOSTS"),
        ("pigeon", "roof", "pigeon"),
    ],
)
def test_where_alerts_may_not_go(channel, address, why, cast, settings):
    settings.WEBHOOK_HOSTS = ["hooks.example.org"]
    with pytest.raises(SubscriptionRefused, match=why):
        subscribe(cast.olga, channel, address, "notice")


def test_the_same_address_again_changes_what_is_wanted(cast):
    first = wants(cast.olga)
    assert wants(cast.olga, "alarm").pk == first.pk
    assert cast.olga.subscriptions.get().severity == "alarm"


def test_ten_subscriptions_are_enough(cast):
    for number in range(subscriptions.MOST):
        subscribe(cast.olga, "email", f"o{number}@example.org", "notice")
    with pytest.raises(SubscriptionRefused, match="end one of them"):
        subscribe(cast.olga, "email", "more@example.org", "notice")


def test_no_secret_travels_in_a_delivery(submitted, hospitals, cast, settings):
    settings.WEBHOOK_HOSTS = ["hooks.example.org"]
    made = subscribe(cast.olga, "webhook", "https://hooks.example.org/x", "notice")
    document = json.dumps(sending._document(lost(submitted, hospitals.cleveland)))
    assert made.secret not in document
    assert made.secret not in str(made)


LONG = "train of round 5 at Cleveland would need ε = 1.03 of 1 at δ = 0.001, says the filter " * 3


def test_a_subject_says_what_and_where_and_leaves_the_reason_to_the_body(submitted, cast):
    wants(cast.olga)
    events.record("study_exhausted", study=submitted, reason=LONG)
    alerting.sweep()
    (message,) = mail.outbox
    assert message.subject == (
        f"[Cloister] The study's privacy budget is exhausted · {submitted.name}"
    )
    assert LONG in message.body


def test_a_long_subject_ends_after_a_word(submitted, hospitals, cast):
    hospitals.cleveland.name = "The University Hospital of Cleveland " * 3
    hospitals.cleveland.save()
    wants(cast.olga)
    lost(submitted, hospitals.cleveland)
    lost(submitted, hospitals.cleveland)
    alerting.sweep()
    subject = mail.outbox[0].subject
    assert len(subject) <= 120
    assert subject.endswith(" …")
    whole = f"[Cloister] 2 alerts, first: {hospitals.cleveland.name.strip()} did"
    assert set(subject.removesuffix(" …").split()) <= set(whole.split())


def test_older_rows_of_a_low_budget_keep_their_words(hospitals, cast):
    wants(cast.olga)
    events.record("budget_low", institution=hospitals.cleveland, what="dataset x", percent=81)
    alerting.sweep()
    said = "81 % of the privacy budget of dataset x is spent or reserved"
    assert said in mail.outbox[0].subject
