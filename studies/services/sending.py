"""Sending alerts: one e-mail for several, one signed post for each.

A message says what happened and where to read more. It carries no figure that the timeline does
not show to the same person.
"""

import hashlib
import hmac
import json
import smtplib
import textwrap
from collections.abc import Sequence

import requests
from django.conf import settings
from django.core.mail import EmailMessage

from studies import alerts
from studies.models import Channel, Event, Subscription
from studies.selectors.timeline import headline, sentence
from studies.services.subscriptions import webhook_allowed

SIGNATURE = "Cloister-Signature"
_SECONDS = (3.05, 10)  # to connect, to answer
_LONGEST_SUBJECT = 120


class NotSent(Exception):
    """It did not go out; the text says why, without any secret."""


def send(subscription: Subscription, events: Sequence[Event]) -> None:
    """Send `events` (at least one) to where the person wants them. Raises NotSent."""
    _SENDERS[Channel(subscription.channel)](subscription, events)


Attachment = tuple[str, bytes, str]  # name, content, media type


def mail(address: str, subject: str, text: str, files: Sequence[Attachment] = ()) -> None:
    """One e-mail with its attachments. Raises NotSent."""
    message = EmailMessage(subject=subject, body=text, to=[address], attachments=list(files))
    try:
        message.send()
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(f"the mail server did not take it ({type(error).__name__})") from error


def _email(subscription: Subscription, events: Sequence[Event]) -> None:
    lines = [_line(event) for event in events]
    text = "\n\n".join([*lines, f"Explain them at {settings.PUBLIC_URL}/violations/"])
    mail(subscription.address, _subject(events), text)


def _subject(events: Sequence[Event]) -> str:
    """What happened, without its reason, and in which study; never cut within a word."""
    first = headline(events[0])
    if events[0].study:
        first = f"{first} · {events[0].study.name}"
    told = first if len(events) == 1 else f"{len(events)} alerts, first: {first}"
    return textwrap.shorten(f"[Cloister] {told}", _LONGEST_SUBJECT, placeholder=" …")


def _line(event: Event) -> str:
    at = event.at.isoformat(timespec="seconds")
    study = f"\n  {_address(event)}" if event.study else ""
    return f"{alerts.ALERTS[event.kind].upper()}  {at}\n  {sentence(event)}{study}"


def _webhook(subscription: Subscription, events: Sequence[Event]) -> None:
    if not webhook_allowed(subscription.address):
        raise NotSent("the operator does not allow this host any more")
    for event in events:
        body = json.dumps(_document(event), sort_keys=True).encode()
        signature = hmac.new(subscription.secret.encode(), body, hashlib.sha256).hexdigest()
        _post(subscription.address, body, f"sha256={signature}")


def _post(address: str, body: bytes, signature: str) -> None:
    headers = {"Content-Type": "application/json", SIGNATURE: signature}
    try:
        answer = requests.post(
            address, data=body, headers=headers, timeout=_SECONDS, allow_redirects=False
        )
    except requests.RequestException as error:
        raise NotSent(f"the host did not answer ({type(error).__name__})") from error
    if not 200 <= answer.status_code < 300:
        raise NotSent(f"the host answered {answer.status_code}")


def _document(event: Event) -> dict[str, object]:
    return {
        "id": event.pk,
        "kind": event.kind,
        "severity": alerts.ALERTS[event.kind],
        "sentence": sentence(event),
        "study": event.study.slug if event.study else None,
        "institution": event.institution.slug if event.institution else None,
        "at": event.at.isoformat(timespec="seconds"),
        "address": _address(event),
    }


def _address(event: Event) -> str:
    path = f"/studies/{event.study.slug}/" if event.study else "/violations/"
    return f"{settings.PUBLIC_URL}{path}"


_SENDERS = {Channel.EMAIL: _email, Channel.WEBHOOK: _webhook}
