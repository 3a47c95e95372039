"""Choosing the noise of an adaptive round: from what is left at every institution and what left."""

from collections.abc import Callable, Sequence
from datetime import datetime

from accounting.dp.adaptive import Proposal, propose
from accounting.dp.calibration import CalibrationError
from accounting.dp.filters import best_order
from accounting.refusals import LedgerRefusal
from accounting.selectors import histories
from accounting.services import proposing
from federation.models import Checkpoint
from federation.protocol import plans
from federation.protocol.document import Protocol
from studies.models import Participation, Study
from studies.services import events

METRICS = ("auc", "accuracy")  # the first that every measured model has


class NothingLeft(LedgerRefusal):
    """No noise that the protocol allows fits what the study has left."""


def choose(
    study: Study,
    protocol: Protocol,
    parts: Sequence[Participation],
    place: tuple[int, int],
    now: datetime,
) -> float | None:
    """The noise of round `place` (number, attempt), written into the ledger; None where sealed.

    One for all institutions: what fits the one that has least left. Raises NothingLeft.
    """
    bounds = protocol.privacy.adaptive
    if bounds is None:
        return None
    name, values = measured(study)
    chosen = propose(
        noise_for=_noise_for(study, protocol, parts, place[0]),
        metrics=values,
        rounds_left=protocol.rounds.count - place[0] + 1,
        least_noise=bounds.least_noise,
        most_noise=bounds.most_noise,
    )
    _write(study, protocol, place, chosen, (name, values), now)
    return chosen.noise_multiplier


def measured(study: Study) -> tuple[str, tuple[float, ...]]:
    """The metric that the choice looks at, and its released values, oldest first."""
    rows = Checkpoint.objects.filter(study=study).order_by("number")
    released = [found for row in rows if (found := _released(row.metrics))]
    for name in METRICS:
        values = [metrics.get(name) for metrics in released]
        if values and all(value is not None for value in values):
            return name, tuple(float(value) for value in values)
    return METRICS[0], ()


def _released(metrics: dict) -> dict:
    """Of the sites' hold-out rows where there is one, else of the public rows."""
    return metrics.get("sites") or metrics.get("public") or {}


def _noise_for(
    study: Study, protocol: Protocol, parts: Sequence[Participation], number: int
) -> Callable[[int], float]:
    """What so many equal rounds would need at the institution that has least left."""
    left = protocol.rounds.count - number + 1
    houses = [part.institution.slug for part in parts]
    spent = histories.load(houses, study.slug)
    done = {spent.study(study.slug, house) for house in houses}

    def noise_for(shares: int) -> float:
        try:
            return max(plans.even_noise(protocol, events, left, shares) for events in done)
        except CalibrationError as error:
            raise NothingLeft(f"round {number} cannot be opened: {error}") from error

    return noise_for


def _write(
    study: Study,
    protocol: Protocol,
    place: tuple[int, int],
    chosen: Proposal,
    basis: tuple[str, tuple[float, ...]],
    now: datetime,
) -> None:
    name, values = basis
    budget, bounds = plans.epsilon_budget(protocol, None), protocol.privacy.adaptive
    facts = {
        "rule": chosen.rule.name.lower(),
        "metric": name,
        "values": [repr(value) for value in values],
        "filter_order": repr(best_order(budget, protocol.privacy.target_delta)),
        "least_noise": repr(bounds.least_noise),
        "most_noise": repr(bounds.most_noise),
    }
    proposing.propose(
        study.slug,
        place,
        chosen.noise_multiplier,
        protocol_digest=study.protocol_digest,
        facts=facts,
        now=now,
    )
    events.record(
        "noise_chosen",
        study=study,
        round=place[0],
        attempt=place[1],
        noise=f"{chosen.noise_multiplier:g}",
        reason=chosen.rule.value,
    )
