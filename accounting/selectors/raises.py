"""Which proposals to raise a budget wait for an answer."""

from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone

from accounting.models import RaiseRequest, RaiseStatus
from accounting.models.raise_request import LIFE
from studies.models import Institution


def waiting(houses: QuerySet[Institution], now: datetime | None = None) -> QuerySet[RaiseRequest]:
    """Those about budgets of `houses`, newest first, that have not lapsed."""
    rows = RaiseRequest.objects.filter(
        status=RaiseStatus.PROPOSED, proposed_at__gt=(now or timezone.now()) - LIFE
    )
    return rows.filter(institution__in=houses.values("slug")).select_related("proposed_by")
