"""What a study may do but hardly means: rules of thumb, each with the key that it is about."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

_TITLES = {
    "privacy.target_delta": "δ",
    "privacy.target_epsilon": "ε",
    "privacy.schedule": "The schedule",
    "training.sample_rate": "The sample rate",
}
WEAK_EPSILON = 10.0
MANY, MOST_OF_IT = 3, 0.8  # rounds, of which the first alone should not take that much of ε
FEW = 10.0  # units in an average batch, below which noise outweighs what is learned


@dataclass(frozen=True)
class Doubt:
    """One sentence, and the key of the protocol that would mend it."""

    key: str
    text: str

    @property
    def title(self) -> str:
        """The key in the words of the form."""
        return _TITLES[self.key]

    def __str__(self) -> str:
        return f"{self.key} {self.text}"


@dataclass(frozen=True)
class Terms:
    """What the rules look at; None or empty where it is not known yet."""

    delta: float
    sample_rate: float
    cohorts: tuple[int, ...] = ()
    epsilon: float | None = None
    noise: tuple[float, ...] = ()  # added by each site, per round
    first: float | None = None  # ε of the first round alone


def doubts(terms: Terms) -> list[Doubt]:
    """Every rule that has something to say, the gravest first."""
    return [*_delta(terms), *_epsilon(terms), *_batch(terms), *_noise(terms), *_first(terms)]


def _delta(terms: Terms) -> Iterator[Doubt]:
    smallest = min(terms.cohorts, default=0)
    if terms.delta * smallest >= 1:
        yield Doubt(
            "privacy.target_delta",
            f"is {terms.delta:g}: choose one well below 1/{smallest}, one over the smallest "
            "declared cohort size; at this δ even publishing somebody's row as it is would keep "
            "the promise",
        )


def _epsilon(terms: Terms) -> Iterator[Doubt]:
    if terms.epsilon is not None and terms.epsilon > WEAK_EPSILON:
        yield Doubt(
            "privacy.target_epsilon",
            f"comes to more than {WEAK_EPSILON:g}, which is weak: whoever sees the results may "
            "become nearly certain that somebody took part",
        )


def _batch(terms: Terms) -> Iterator[Doubt]:
    smallest = min(terms.cohorts, default=0)
    expected = terms.sample_rate * smallest
    if smallest and expected < 1:
        yield Doubt(
            "training.sample_rate",
            f"is {terms.sample_rate:g}: at the smallest site ({smallest}) most steps find nobody, "
            "and pure noise is sent and charged all the same",
        )
    elif smallest and expected < FEW:
        yield Doubt(
            "training.sample_rate",
            f"is {terms.sample_rate:g}: a step at the smallest site ({smallest}) sees about "
            f"{expected:.2g} units, few for the noise that hides each of them",
        )


def _noise(terms: Terms) -> Iterator[Doubt]:
    """A batch of n units adds up to at most n clipping norms, beside noise of `noise` norms."""
    if not terms.cohorts or not terms.noise:
        return
    batch = terms.sample_rate * sum(terms.cohorts)
    drowned = [each * math.sqrt(len(terms.cohorts)) > batch for each in terms.noise]
    if all(drowned):
        yield Doubt("privacy.target_epsilon", _drowned("every round is", batch))
    elif drowned[-1]:
        first = len(drowned) - drowned[::-1].index(False) + 1
        yield Doubt("privacy.schedule", _drowned(f"rounds {first} to {len(drowned)} are", batch))


def _first(terms: Terms) -> Iterator[Doubt]:
    if terms.first is None or not terms.epsilon or len(terms.noise) <= MANY:
        return
    if terms.first > MOST_OF_IT * terms.epsilon:
        yield Doubt(
            "privacy.schedule",
            f"spends {terms.first / terms.epsilon:.0%} of ε in the first round: those after it "
            "hardly learn anything; take the same noise in every round, or fewer rounds",
        )


def _drowned(which: str, batch: float) -> str:
    return (
        f"means that {which} mostly noise: more of it in one direction than all {batch:.3g} units "
        "of a step can add together; take fewer rounds, a larger batch or more ε"
    )
