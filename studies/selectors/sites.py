"""Whether a site is up, as everybody is told it: seen within the last minute."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from studies.models import Institution

ONLINE_FOR = timedelta(seconds=60)


@dataclass(frozen=True)
class Site:
    """An institution's site worker, seen from the hub."""

    institution: Institution
    enrolled: bool
    online: bool
    last_seen: datetime | None

    @property
    def state(self) -> str:
        """One word: online, offline, or that it was never enrolled."""
        if not self.enrolled:
            return "not enrolled"
        return "online" if self.online else "offline"


def site(institution: Institution, now: datetime | None = None) -> Site:
    """The site of one institution."""
    now = now or timezone.now()
    seen = institution.last_seen
    online = bool(institution.site_key and seen and now - seen < ONLINE_FOR)
    return Site(institution, bool(institution.site_key), online, seen)


def sites(institutions) -> list[Site]:
    """The sites of several institutions, all judged at the same moment."""
    now = timezone.now()
    return [site(institution, now) for institution in institutions]
