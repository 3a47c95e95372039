"""What the rest of a sealed plan adds to what a site has spent: ε composed after each round."""

from functools import lru_cache

from accounting.dp.curves import composed_after
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Unbounded
from accounting.dp.planning import listed
from accounting.selectors import histories
from federation.protocol import machines, plans
from federation.protocol.document import Protocol

Events = tuple[PrivacyEvent, ...]
Points = tuple[tuple[int, float], ...]
MOST_NOISES = 512  # different ones, beyond which a page would wait for seconds


def ahead(study: str, institution: str, protocol: Protocol, done: int) -> Points:
    """(round, ε after it) for some rounds after `done` and for the last one, as they are sealed.

    On top of everything that counts as spent there. Empty where no plan is sealed (also where the
    noise is chosen on the way), where nothing is left to run, where ε has no bound, and where
    more than MOST_NOISES different noises are still to come.
    """
    left = protocol.rounds.count - done
    if protocol.plan is None or protocol.privacy.adaptive or left < 1:
        return ()
    spent = histories.load([institution], study).study(study, institution)
    own = machines.own(protocol, institution)
    coming = range(done + 1, protocol.rounds.count + 1)
    rounds = tuple(tuple(plans.round_events(own, n).values()) for n in coming)
    found = _composed(rounds, protocol.privacy.target_delta, spent)
    return tuple((done + number, epsilon) for number, epsilon in found)


@lru_cache(maxsize=128)
def _composed(rounds: tuple[Events, ...], delta: float, before: Events) -> Points:
    """After rounds counted from 1."""
    if len({event.noise_multiplier for events in rounds for event in events}) > MOST_NOISES:
        return ()
    numbers = listed(len(rounds))
    try:
        figures = composed_after(rounds, delta, numbers, before)
    except Unbounded:
        return ()
    return tuple((n, figure.epsilon) for n, figure in zip(numbers, figures, strict=True))
