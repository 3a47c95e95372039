"""An event about an institution alone reaches whoever may read its offer, and nobody else."""

import pytest

from studies.selectors import news
from studies.selectors.visibility import all_events_for
from studies.services import events
from studies.services.events import KINDS
from tests.studies.test_rights import EVERYONE, HOUSE_RULES

OWN = sorted({"budget_low", "offer_received", "token_issued", "journal_mismatch"} & set(KINDS))


@pytest.mark.parametrize("kind", OWN)
def test_no_role_hears_what_it_may_not_read(kind, submitted, hospitals, cast):
    event = events.record(kind, institution=hospitals.cleveland, what="dataset heart", percent=93)
    heard = {
        name
        for name in EVERYONE
        if news.audible(
            getattr(cast, name),
            event_id=event.pk,
            study_slug=None,
            institution_slug=hospitals.cleveland.slug,
        )
    }
    assert heard == {name for name in EVERYONE if reads(getattr(cast, name), event)}
    assert heard == HOUSE_RULES["may_read_offer"]


def reads(person, event) -> bool:
    return all_events_for(person).filter(pk=event.pk).exists()


def test_nobody_catches_up_on_it_either(submitted, hospitals, cast):
    event = events.record("budget_low", institution=hospitals.cleveland, what="heart", percent=93)
    missed = {
        name
        for name in EVERYONE
        if event.pk in {item.id for item in news.missed(getattr(cast, name), None, event.pk - 1)}
    }
    assert missed == HOUSE_RULES["may_read_offer"]
