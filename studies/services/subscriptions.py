"""The one writer of subscriptions: where a person wants to hear of alerts."""

import secrets
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from studies.alerts import Severity
from studies.models import Channel, Event, Person, Subscription
from studies.services.errors import Refused

MOST = 10  # per person


class SubscriptionRefused(Refused):
    """The address cannot be used, or is one too many."""


@transaction.atomic
def subscribe(person: Person, channel: str, address: str, severity: str) -> Subscription:
    """Send alerts from now on to `address`; the same address again changes its severity.

    Raises SubscriptionRefused: no such channel, a malformed address, a host that the operator
    did not allow, or more than ten subscriptions.
    """
    channel, severity = _closed(channel, severity)
    address = _CHECKS[channel](address.strip())
    Person.objects.select_for_update().get(pk=person.pk)
    known = Subscription.objects.filter(person=person, channel=channel, address=address).first()
    if known is not None:
        known.severity = severity
        known.save(update_fields=["severity"])
        return known
    if person.subscriptions.count() >= MOST:
        raise SubscriptionRefused(f"you have {MOST} subscriptions; end one of them first")
    return Subscription.objects.create(
        person=person,
        channel=channel,
        address=address,
        severity=severity,
        secret=secrets.token_hex(32) if channel == Channel.WEBHOOK else "",
        after=Event.objects.aggregate(last=Max("pk"))["last"] or 0,
        created_at=timezone.now(),
    )


def end(person: Person, number: int) -> None:
    """End one of the person's own subscriptions; one that is not there is ended already."""
    person.subscriptions.filter(pk=number).delete()


def webhook_allowed(address: str) -> bool:
    """https to a host of CLOISTER_WEBHOOK_HOSTS: asked when subscribing and before each post."""
    parts = urlsplit(address)
    return (
        parts.scheme == "https"
        and not parts.username
        and (parts.hostname or "") in settings.WEBHOOK_HOSTS
    )


def _closed(channel: str, severity: str) -> tuple[Channel, Severity]:
    try:
        return Channel(channel), Severity(severity)
    except ValueError as error:
        raise SubscriptionRefused(f"{error}; choose one of those on the form") from error


def _email(address: str) -> str:
    try:
        validate_email(address)
    except ValidationError as error:
        raise SubscriptionRefused(
            "that is no e-mail address; give one such as dpo@example.org"
        ) from error
    return address


def _webhook(address: str) -> str:
    if not webhook_allowed(address):
        allowed = ", ".join(settings.WEBHOOK_HOSTS) or "none yet"
        raise SubscriptionRefused(
            f"alerts are posted over https to hosts that the operator allowed ({allowed}); ask the "
            "operator to add yours to CLOISTER_WEBHOOK_HOSTS"
        )
    return address


_CHECKS = {Channel.EMAIL: _email, Channel.WEBHOOK: _webhook}
