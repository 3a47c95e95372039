"""What each round of a protocol releases and costs, and the sealed noise of the whole study."""

from accounting.dp.accountants import epsilon
from accounting.dp.calibration import CalibrationError, calibrate, next_noise
from accounting.dp.events import NOISE_GRADES, Mechanism, PrivacyEvent
from accounting.dp.figures import Unbounded
from accounting.dp.filters import best_order, room
from accounting.dp.schedules import shape
from federation.protocol.document import MOST_NOISE, Plan, Protocol
from federation.protocol.machines import ClassPlan, of_class, own, used

TRAIN = "train"
EVALUATE = "evaluate"
ACCOUNTANT = "pld"
LEAST_BUDGET = 0.001
_GRADES = dict(zip(("float", "hardened"), NOISE_GRADES, strict=True))


class NotSealed(ValueError):
    """The protocol has no plan yet, so the noise of its rounds is not known."""


class NotAllowed(ValueError):
    """A round's noise was chosen that the protocol does not allow to be chosen."""


class NoPlan(ValueError):
    """The privacy section cannot be kept; the text begins with the key that is to be changed."""


def round_events(
    protocol: Protocol, number: int, institution: str | None = None, noise: float | None = None
) -> dict[str, PrivacyEvent]:
    """What round `number` (from 1) costs each unit at one site, by phase.

    With `institution`, they are those of its class of machine, and also tell that site's batch
    denominator, which is public and no part of the price. `noise` is what an adaptive study chose
    for this round instead of the sealed start.

    Raises:
        NotSealed: the protocol has no plan.
        NotAllowed: the protocol does not let anybody choose this noise.
        ValueError: there is no such round.
        KeyError: the institution is not in the cohort.
    """
    protocol = own(protocol, institution)
    if protocol.plan is None:
        raise NotSealed("the protocol has no sealed plan; submit the study first")
    if not 1 <= number <= protocol.rounds.count:
        raise ValueError(f"there is no round {number}; the study has {protocol.rounds.count}")
    if noise is None:
        noise = protocol.plan.noise_multipliers[number - 1]
    else:
        check_choice(protocol, noise)
    events = {TRAIN: _training(protocol, noise, institution)}
    if protocol.evaluates(number):
        events[EVALUATE] = _evaluation(protocol)
    return events


def batch_denominator(protocol: Protocol, institution: str) -> float:
    """sample_rate * declared cohort_size: a public constant, where a batch's size is private.

    Raises KeyError when the institution is not in the cohort.
    """
    rate = own(protocol, institution).training.sample_rate
    return rate * protocol.member(institution).cohort_size


def check_choice(protocol: Protocol, noise: float) -> None:
    """Return where an adaptive protocol lets `noise` be chosen. Raises NotAllowed."""
    bounds = protocol.privacy.adaptive
    if bounds is None:
        raise NotAllowed("the protocol's noise is sealed; nobody may choose another")
    if not bounds.least_noise <= noise <= bounds.most_noise:
        raise NotAllowed(
            f"noise {noise:g} is outside what privacy.adaptive allows: {bounds.least_noise:g} to "
            f"{bounds.most_noise:g}"
        )


def plan_events(protocol: Protocol, institution: str | None = None) -> tuple[PrivacyEvent, ...]:
    """The events of all rounds in order, at one site; none where the noise is chosen on the way.

    Raises NotSealed.
    """
    protocol = own(protocol, institution)
    if protocol.privacy.adaptive and protocol.plan:
        return ()
    return tuple(
        event
        for number in range(1, protocol.rounds.count + 1)
        for event in round_events(protocol, number).values()
    )


def seal(protocol: Protocol) -> Protocol:
    """The protocol with its plan: the noise of every round, and the ε that all rounds cost.

    From a target ε the noise is calibrated with the histograms' events counted in; from a noise
    multiplier it is that number times the schedule's factor of the round.

    Raises:
        NoPlan: the target cannot be reached, for instance because the histograms alone cost
            more, or the ε of the noise multiplier cannot be bounded.
    """
    written = unsealed(protocol)
    classes = {name: _class_plan(written, name) for name in sorted(used(written))}
    plan = _plan(written).model_copy(update={"classes": classes})
    return written.model_copy(update={"plan": plan})


def _class_plan(protocol: Protocol, name: str) -> ClassPlan:
    try:
        found = _plan(of_class(protocol, name))
    except NoPlan as error:
        raise NoPlan(f"{error} (in training.classes.{name})") from error
    return ClassPlan(noise_multipliers=found.noise_multipliers, epsilon=found.epsilon)


def _plan(protocol: Protocol) -> Plan:
    """The plan of one class, or of everybody who has none. Raises NoPlan."""
    try:
        multipliers = _multipliers(protocol)
        _check_noise(protocol, max(multipliers))
        events = [_training(protocol, noise, None) for noise in multipliers]
        events += evaluation_events(protocol)
        figure = epsilon(events, protocol.privacy.target_delta, ACCOUNTANT)
        if protocol.privacy.adaptive:
            check_choice(protocol, multipliers[0])
    except NotAllowed as error:
        raise NoPlan(f"privacy.adaptive: {error}; the first round needs that much") from error
    except CalibrationError as error:
        raise NoPlan(f"privacy.target_epsilon: {error}") from error
    except Unbounded as error:
        raise NoPlan(f"privacy.noise_multiplier: {error}; add more noise") from error
    return Plan(
        noise_multipliers=list(multipliers),
        epsilon=repr(figure.epsilon),
        accountant=figure.accountant,
        version=figure.version,
    )


def _check_noise(protocol: Protocol, most: float) -> None:
    """Raises NoPlan for noise in which nothing is left to learn from, and sums would overflow."""
    if most > MOST_NOISE:
        aimed = protocol.privacy.target_epsilon is not None
        key, advice = ("target_epsilon", "raise it") if aimed else ("noise_multiplier", "lower it")
        raise NoPlan(
            f"privacy.{key}: a round would have noise {most:.3g}, above {MOST_NOISE:g}; {advice}, "
            "or make the schedule less steep"
        )


def unsealed(protocol: Protocol) -> Protocol:
    """The protocol without its plan, as it was written."""
    return protocol.model_copy(update={"plan": None})


def evaluation_events(protocol: Protocol) -> list[PrivacyEvent]:
    """The histograms of all rounds that end with one."""
    numbers = range(1, protocol.rounds.count + 1)
    return [_evaluation(protocol) for number in numbers if protocol.evaluates(number)]


def epsilon_budget(protocol: Protocol, institution: str | None) -> float:
    """The ε at which the study ends at one site: as declared, else the target, else its plan's.

    Its own plan's: what another site's class of machine costs raises nobody else's budget. None
    stands for a site of no class.

    Raises NotSealed when only the plan could tell.
    """
    privacy = protocol.privacy
    declared = privacy.epsilon_budget or privacy.target_epsilon
    if declared is not None:
        return declared
    plan = own(protocol, institution).plan
    if plan is None:
        raise NotSealed("the ε of a study with a noise multiplier is known once it is submitted")
    # So much noise that ε is 0 at this δ is still a plan, and a budget has to be above 0.
    return max(float(plan.epsilon), LEAST_BUDGET)


def even_noise(
    protocol: Protocol, spent: tuple[PrivacyEvent, ...], rounds_left: int, shares: int
) -> float:
    """The noise of which `shares` equal rounds use up what the study's filter still admits.

    `spent` is what the study did at one institution; the histograms to come are set aside first.
    Judged by the Rényi filter at the order fixed by the budget, as everything is that is chosen
    after looking at results. Raises CalibrationError where nothing is left.
    """
    limit, delta = epsilon_budget(protocol, None), protocol.privacy.target_delta
    order = best_order(limit, delta)
    first = protocol.rounds.count - rounds_left + 1
    coming = [n for n in range(first, protocol.rounds.count + 1) if protocol.evaluates(n)]
    fixed = (*spent, *(_evaluation(protocol) for _ in coming))
    return next_noise(
        room=room(fixed, limit, delta, order),
        order=order,
        sample_rate=protocol.training.sample_rate,
        steps_per_round=protocol.training.local_steps,
        rounds_left=shares,
    )


def _multipliers(protocol: Protocol) -> tuple[float, ...]:
    privacy, training = protocol.privacy, protocol.training
    factors = shape(privacy.schedule, protocol.rounds.count)
    if privacy.target_epsilon is None:
        # The document holds exactly one of the two.
        return tuple((privacy.noise_multiplier or 0.0) * factor for factor in factors)
    if privacy.adaptive:
        count = protocol.rounds.count
        return (even_noise(protocol, (), count, count),) * count
    return calibrate(
        target_epsilon=privacy.target_epsilon,
        delta=privacy.target_delta,
        shape=factors,
        sample_rate=training.sample_rate,
        steps_per_round=training.local_steps,
        fixed=tuple(evaluation_events(protocol)),
    )


def _training(protocol: Protocol, noise: float, institution: str | None) -> PrivacyEvent:
    training = protocol.training
    denominator = None if institution is None else batch_denominator(protocol, institution)
    return PrivacyEvent(
        Mechanism.POISSON_GAUSSIAN,
        noise_multiplier=noise,
        sample_rate=training.sample_rate,
        steps=training.local_steps,
        max_grad_norm=training.max_grad_norm,
        batch_denominator=denominator,
        noise_grade=_GRADES[training.noise],
        unit=protocol.data.unit,
    )


def _evaluation(protocol: Protocol) -> PrivacyEvent:
    noise = protocol.evaluation.noise_multiplier
    if noise is None:
        raise ValueError("evaluation.noise_multiplier is missing")
    return PrivacyEvent(
        Mechanism.GAUSSIAN,
        noise_multiplier=noise,
        sample_rate=1.0,
        steps=1,
        max_grad_norm=1.0,
        unit=protocol.data.unit,
    )
