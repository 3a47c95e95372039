"""The site's own limits: what it refuses whatever the hub signs and whoever approved it."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from accounting.dp.events import PrivacyEvent
from federation.protocol.document import Protocol
from federation.protocol.messages import Reason
from federation.site.config import Dataset, Limits
from federation.site.entry_points import BEST_ORDER, BUDGET, FITS, FITS_ADAPTIVELY, PLD, load
from federation.site.refused import Refused


@dataclass(frozen=True)
class Asked:
    """The protocol under which a study asks for anything."""

    protocol: Protocol
    protocol_digest: str


@dataclass(frozen=True)
class Request(Asked):
    """One event that a study asks for, and what was charged before it (by this study; by all)."""

    plan: tuple[PrivacyEvent, ...]
    dataset: Dataset
    event: PrivacyEvent
    of_study: tuple[PrivacyEvent, ...]
    of_lineage: tuple[PrivacyEvent, ...]
    fixed_order: float | None = None  # of the lineage's filter; None before its first loss

    @property
    def lifetime_order(self) -> float:
        """The order of the lineage's filter; the best for its lifetime as long as nothing is lost.

        Raising or lowering the lifetime later moves the limit, never the order.
        """
        if self.fixed_order is not None:
            return self.fixed_order
        lifetime = (self.dataset.lifetime_epsilon, self.dataset.lifetime_delta)
        return float(load(BEST_ORDER)(*lifetime))


def check_limits(limits: Limits, request: Request) -> None:
    """Return when `request` breaks no limit. Raises Refused with the first that it breaks."""
    check_standing(limits, request)
    for check in _CHECKS:
        check(limits, request)


def check_standing(limits: Limits, asked: Asked) -> None:
    """The limits that hold for what costs nothing, too. Raises Refused."""
    for check in _STANDING:
        check(limits, asked)


def _approved(limits: Limits, request: Asked) -> None:
    listed = limits.approved_protocols
    if listed is not None and request.protocol_digest not in listed:
        raise Refused(
            Reason.NOT_APPROVED,
            f"limits.approved_protocols does not list {request.protocol_digest}",
        )
    if limits.secure_aggregation == "required":
        # The closed list has no reason of its own for it; a study by secure aggregation would
        # come in other phases than the plain ones that this version knows.
        raise Refused(
            Reason.NOT_APPROVED, "limits.secure_aggregation is required; this study has none"
        )


def _architecture(limits: Limits, request: Asked) -> None:
    name = request.protocol.model.architecture
    if limits.architectures and name not in limits.architectures:
        raise Refused(Reason.LIMIT_ARCHITECTURE, f"limits.architectures does not list {name!r}")


def _rounds(limits: Limits, request: Asked) -> None:
    count = request.protocol.rounds.count
    if count > limits.max_rounds:
        raise Refused(Reason.LIMIT_ROUNDS, f"{count} rounds; limits.max_rounds is below that")


def _cohort(limits: Limits, request: Asked) -> None:
    size = len(request.protocol.cohort)
    if size < limits.min_cohort:
        raise Refused(Reason.LIMIT_COHORT, f"{size} institutions; limits.min_cohort is above that")


def _noise(limits: Limits, request: Request) -> None:
    least = min(_noises(request))
    if least < limits.min_noise_multiplier:
        raise Refused(
            Reason.LIMIT_NOISE,
            f"noise_multiplier {least} in the plan; limits.min_noise_multiplier is above that",
        )


def _noises(request: Request) -> list[float]:
    """Every noise that the study may ask for here: its plan's; where it is chosen, the least.

    The histograms of a study whose noise is chosen on the way are sealed with its protocol.
    """
    protocol, chosen = request.protocol, request.protocol.privacy.adaptive
    if chosen is None:
        return [event.noise_multiplier for event in request.plan]
    measured = any(protocol.evaluates(n) for n in range(1, protocol.rounds.count + 1))
    histogram = protocol.evaluation.noise_multiplier if measured else None
    asked = [chosen.least_noise, request.event.noise_multiplier]
    return asked if histogram is None else [*asked, histogram]


def _unit(limits: Limits, request: Request) -> None:
    """A guarantee for rows says nothing about patients, nor the reverse: they never compose."""
    if any(event.unit != request.event.unit for event in request.of_lineage):
        # The closed list has no reason of its own: the lifetime so far cannot take this event.
        raise Refused(
            Reason.LIMIT_LIFETIME,
            f"lineage {request.dataset.root!r} was charged for another privacy unit before, which "
            f"does not compose with one per {request.event.unit}",
        )


def _epsilon(limits: Limits, request: Request) -> None:
    """The whole plan must fit, and so must what repeated attempts add to it.

    δ is the smaller of the study's and this dataset's own: a large δ would make any ε look small.
    """
    if request.protocol.privacy.adaptive:
        _epsilon_chosen(limits, request)
        return
    delta = min(request.protocol.privacy.target_delta, request.dataset.lifetime_delta)
    histories = [request.plan]
    asked = (*request.of_study, request.event)
    if Counter(map(_price, asked)) - Counter(map(_price, histories[0])):
        histories.append(asked)
    for history in histories:
        figure = load(PLD)(history, delta, accountant="pld")
        if figure.epsilon > limits.max_epsilon_per_study:
            raise Refused(
                Reason.LIMIT_EPSILON,
                f"epsilon {figure.shown()} at delta {delta} ({figure.accountant}); "
                "limits.max_epsilon_per_study is below that",
            )


def _epsilon_chosen(limits: Limits, request: Request) -> None:
    """Chosen after looking at results: only a Rényi filter holds, both the study's and our own."""
    asked = (*request.of_study, request.event)
    study, budget = request.protocol.privacy, load(BUDGET)(request.protocol, None)
    delta = min(study.target_delta, request.dataset.lifetime_delta)
    # One order for both, that of the sealed protocol: a limit that is changed may not move it.
    order = load(BEST_ORDER)(budget, study.target_delta)
    for limit, at in ((budget, study.target_delta), (limits.max_epsilon_per_study, delta)):
        if not load(FITS_ADAPTIVELY)(asked, limit * (1 + 1e-9), at, order).fits:
            raise Refused(
                Reason.LIMIT_EPSILON,
                f"the filter of epsilon {limit:g} at delta {at:g} does not hold this event",
            )


def _lifetime(limits: Limits, request: Request) -> None:
    dataset = request.dataset
    if not _fits(request, dataset.lifetime_epsilon, dataset.lifetime_delta):
        raise Refused(
            Reason.LIMIT_LIFETIME,
            f"the lifetime budget of lineage {dataset.root!r} does not hold this event",
        )


def _fits(request: Request, epsilon: float, delta: float) -> bool:
    """Whether the lineage's whole history and this event stay within (epsilon, delta).

    What was sealed before the first round is judged tightly; several studies on one lineage, and
    attempts beyond a plan, were chosen after looking at results: there only the RDP filter holds.
    """
    history = (*request.of_lineage, request.event)
    beyond_plan = Counter(map(_price, history)) - Counter(map(_price, request.plan))
    of_others = Counter(map(_price, request.of_lineage)) - Counter(map(_price, request.of_study))
    if not beyond_plan and not of_others:
        return bool(load(FITS)(history, epsilon, delta).fits)
    return bool(load(FITS_ADAPTIVELY)(history, epsilon, delta, request.lifetime_order).fits)


def _price(event: PrivacyEvent) -> tuple[float, float, int]:
    return (event.noise_multiplier, event.sample_rate, event.steps)


_STANDING: Iterable[Callable[[Limits, Asked], None]] = (_approved, _architecture, _rounds, _cohort)
_CHECKS: Iterable[Callable[[Limits, Request], None]] = (_noise, _unit, _lifetime, _epsilon)
