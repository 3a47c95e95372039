"""The one writer of institutions: registered by a person, heard of through their sites."""

import re
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.text import slugify

from studies.models import Institution, Person
from studies.selectors.sites import ONLINE_FOR
from studies.services import events
from studies.services.enrolment import enrol, issue_token, revoke_key
from studies.services.errors import InvalidName, OfferRefused

__all__ = ["enrol", "issue_token", "receive_offer", "register", "revoke_key", "seen"]

SEEN_EVERY = timedelta(seconds=10)  # last_seen is written no more often
SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")  # as in the protocol document's cohort
MAX_DATASETS = 100


def register(*, name: str, slug: str | None = None, by: Person) -> Institution:
    """Add an institution to the federation; raises InvalidName."""
    name = name.strip()
    slug = slug or slugify(name).replace("_", "-")[:63].strip("-")
    if not name or not SLUG.fullmatch(slug):
        raise InvalidName(
            f"{name!r} gives no usable slug; choose one of lower-case letters, digits and dashes"
        )
    try:
        with transaction.atomic():
            institution = Institution.objects.create(name=name, slug=slug)
            events.record("institution_registered", institution=institution, by=by)
    except IntegrityError as error:
        raise InvalidName(f"an institution {slug!r} exists already; choose another slug") from error
    return institution


def seen(institution: Institution, *, now: datetime | None = None) -> None:
    """Note that the site called; news goes out only when it comes back from being offline."""
    now = now or timezone.now()
    if institution.last_seen and now - institution.last_seen < SEEN_EVERY:
        return  # without a transaction: a long poll must not take SQLite's write lock
    stale = Q(last_seen=None) | Q(last_seen__lt=now - SEEN_EVERY)
    with transaction.atomic():
        if not Institution.objects.filter(stale, pk=institution.pk).update(last_seen=now):
            return
        before, institution.last_seen = institution.last_seen, now
        if before is None or now - before > ONLINE_FOR:
            events.news("site_seen", institution=institution)


@transaction.atomic
def receive_offer(institution: Institution, offer: dict[str, Any]) -> None:
    """Keep what the site says it lends (messages.Offer); raises OfferRefused.

    The event is recorded only when the datasets changed: sites repeat their offer at every start.
    """
    _check_datasets(offer.get("datasets"))
    institution.refresh_from_db(from_queryset=Institution.objects.select_for_update(no_key=True))
    changed = any(institution.offer.get(k) != offer.get(k) for k in ("datasets", "machine"))
    institution.offer = offer
    institution.save(update_fields=["offer"])
    if changed:
        names = [dataset["name"] for dataset in offer["datasets"]]
        events.record("offer_received", institution=institution, datasets=names)


def _check_datasets(datasets: Any) -> None:
    if not isinstance(datasets, list) or len(datasets) > MAX_DATASETS:
        raise OfferRefused(f"an offer needs a list of at most {MAX_DATASETS} datasets")
    names = [dataset.get("name") for dataset in datasets if isinstance(dataset, dict)]
    if len(names) != len(datasets) or not all(isinstance(n, str) and n for n in names):
        raise OfferRefused("every dataset of an offer needs a name")
    if len(set(names)) != len(names):
        raise OfferRefused("an offer names a dataset twice; give each its own name")
