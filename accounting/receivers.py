"""Has the ledger's say at the moments that studies announce (studies.signals)."""

from typing import Any

from django.dispatch import receiver

from accounting.services import committing
from studies import signals
from studies.models import Participation, Study


@receiver(signals.approving)
def _approving(participation: Participation, lineage: str, **_: Any) -> None:
    committing.same_unit(participation, lineage)


@receiver(signals.starting)
def _starting(study: Study, **_: Any) -> None:
    committing.commit(study)


@receiver(signals.left)
def _left(participation: Participation, **_: Any) -> None:
    committing.leave(participation)


@receiver(signals.ended)
def _ended(study: Study, **_: Any) -> None:
    committing.give_back(study)
