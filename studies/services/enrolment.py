"""The one writer of enrolment tokens and of the site keys that they pin."""

import hashlib
import re
import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from studies.models import EnrolmentToken, Institution, Person
from studies.services import events
from studies.services.errors import EnrolmentRefused

TOKEN_BYTES = 32
LIFETIME = timedelta(hours=24)
MAX_TOKEN_LENGTH = 200
PUBLIC_KEY = re.compile(r"[0-9a-f]{64}")


@transaction.atomic
def issue_token(institution: Institution, *, by: Person, now: datetime | None = None) -> str:
    """Return a new enrolment token, in plain text this once; older unused ones expire at once."""
    now = now or timezone.now()
    institution.refresh_from_db(from_queryset=Institution.objects.select_for_update(no_key=True))
    _void_unused(institution, now)
    token = f"enrol-{secrets.token_urlsafe(TOKEN_BYTES)}"  # never looks like an option
    EnrolmentToken.objects.create(
        institution=institution,
        token_digest=_digest(token),
        issued_by=by,
        issued_at=now,
        expires_at=now + LIFETIME,
    )
    events.record("token_issued", institution=institution, by=by)
    return token


@transaction.atomic
def enrol(token: str, public_key: str, *, now: datetime | None = None) -> Institution:
    """Use the token up and pin the site's Ed25519 key (64 hexadecimal digits).

    An enrolled institution gets its key replaced, and both fingerprints are recorded. Of two
    calls with one token exactly one wins. Raises EnrolmentRefused.
    """
    now = now or timezone.now()
    if not PUBLIC_KEY.fullmatch(public_key):
        raise EnrolmentRefused("the public key must be 64 lower-case hexadecimal digits (Ed25519)")
    institution = _institution_of(token)
    row = _use_up(token, now)
    previous = institution.site_key
    institution.site_key, institution.enrolled_at = public_key, now
    institution.last_seen = now
    _save_key(institution)
    events.record(
        "site_enrolled",
        institution=institution,
        by=row.issued_by,
        key=fingerprint(public_key),
        previous_key=fingerprint(previous) if previous else "",
    )
    return institution


@transaction.atomic
def revoke_key(institution: Institution, *, by: Person, now: datetime | None = None) -> None:
    """Unpin the site's key at once; the site may come back only with a new token."""
    institution.refresh_from_db(from_queryset=Institution.objects.select_for_update(no_key=True))
    if not institution.site_key:
        raise EnrolmentRefused(f"{institution} has no enrolled site; there is no key to revoke")
    _void_unused(institution, now or timezone.now())
    previous, institution.site_key = institution.site_key, ""
    institution.enrolled_at = None
    institution.save(update_fields=["site_key", "enrolled_at"])
    events.record(
        "site_key_revoked", institution=institution, by=by, previous_key=fingerprint(previous)
    )


def fingerprint(public_key: str) -> str:
    """The first 16 hexadecimal digits of the key's SHA-256: short enough to compare by eye."""
    return hashlib.sha256(bytes.fromhex(public_key)).hexdigest()[:16]


def _institution_of(token: str) -> Institution:
    """The token's institution, locked: always before its tokens, so that nobody deadlocks."""
    rows = Institution.objects.select_for_update(no_key=True)
    found = EnrolmentToken.objects.filter(token_digest=_digest(token))
    institution = rows.filter(pk__in=found.values("institution")).first()
    if institution is None:
        raise EnrolmentRefused("this token is not known; ask for a new one")
    return institution


def _use_up(token: str, now: datetime) -> EnrolmentToken:
    rows = EnrolmentToken.objects.select_for_update(of=("self",)).select_related("issued_by")
    row = rows.get(token_digest=_digest(token))
    if row.used_at is not None:
        raise EnrolmentRefused("this token was used already; ask for a new one")
    if row.expires_at <= now:
        raise EnrolmentRefused("this token expired or was replaced; ask for a new one")
    row.used_at = now
    row.save(update_fields=["used_at"])
    return row


def _save_key(institution: Institution) -> None:
    taken = Institution.objects.exclude(pk=institution.pk).filter(site_key=institution.site_key)
    if taken.exists():
        raise EnrolmentRefused("this key belongs to another site; make a new one in its own folder")
    institution.save(update_fields=["site_key", "enrolled_at", "last_seen"])


def _void_unused(institution: Institution, now: datetime) -> None:
    EnrolmentToken.objects.filter(institution=institution, used_at=None, expires_at__gt=now).update(
        expires_at=now
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token[:MAX_TOKEN_LENGTH].encode()).hexdigest()
