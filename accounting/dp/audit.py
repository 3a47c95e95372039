"""Empirical lower bounds on ε from one run: how well somebody guessed which canaries were in.

Steinke, Nasr, Jagielski 2023, "Privacy Auditing with One (1) Training Run", arXiv 2305.08846,
theorem 5.2: under (ε, δ)-differential privacy for adding or removing one unit, the number of
right guesses about m independent fair coins is hardly more than Binomial(r, e^ε / (e^ε + 1)).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, expit, gammaln, xlog1py, xlogy

METHOD = "one-run audit (Steinke, Nasr, Jagielski 2023)"
CONFIDENCE = 0.95
LARGEST_DELTA = 1e-5  # a larger one drowns the bound: δ is paid for once per canary
LARGEST_EPSILON = 64.0
FEWEST_GUESSES = 6
SHARES = (1, 2, 4)  # guess about all canaries, the surest half, the surest quarter
_STEP = 0.125
_HALVINGS = 30


@dataclass(frozen=True)
class Measured:
    """What one audit shows: ε at `delta` is at least `lower`, with this confidence.

    `guesses` and `correct` are those of the number of guesses that showed most; `tried` is how
    many numbers of guesses were tried, which the confidence is corrected for.
    """

    canaries: int
    guesses: int
    correct: int
    tried: int
    delta: float
    confidence: float
    lower: float


def audit_delta(target_delta: float) -> float:
    """The δ of an audit, fixed before it: the study's own, at most LARGEST_DELTA."""
    return min(target_delta, LARGEST_DELTA)


def p_value(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """The chance of at least `correct` right guesses of `guesses` under (ε, δ)-DP, at most.

    Raises ValueError unless 0 <= correct <= guesses <= canaries, ε >= 0 and 0 <= δ <= 1.
    """
    _check(canaries, guesses, correct, delta)
    if not epsilon >= 0:
        raise ValueError(f"epsilon is {epsilon!r}; give a number of at least 0")
    if correct == 0:
        return 1.0
    accuracy = float(expit(epsilon))
    tail = float(betainc(correct, guesses - correct + 1, accuracy))
    if delta == 0:
        return min(1.0, tail)
    # alpha = max over i of P[correct > Binomial(guesses, accuracy) >= correct - i] / i
    below = np.cumsum(_binomial(guesses, np.arange(correct - 1, -1, -1), accuracy))
    alpha = float(np.max(below / np.arange(1, correct + 1)))
    return min(1.0, tail + 2 * canaries * delta * alpha)


def lower_bound(
    canaries: int, guesses: int, correct: int, delta: float, confidence: float = CONFIDENCE
) -> float:
    """The largest ε such that it and every smaller one is rejected; 0 where none is.

    Walks up from 0 in small steps and halves the first step that is not rejected, so that the
    bound holds wherever the p-value might not be monotone. Raises ValueError as `p_value` does,
    and for a confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence!r}; give a number between 0 and 1")

    def rejected(epsilon: float) -> bool:
        return p_value(canaries, guesses, correct, epsilon, delta) < 1 - confidence

    if not rejected(0.0):
        return 0.0
    low = 0.0
    while low < LARGEST_EPSILON and rejected(low + _STEP):
        low += _STEP
    high = low + _STEP
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return low


def guess_counts(canaries: int) -> tuple[int, ...]:
    """How many guesses are made: even numbers fixed by the number of canaries alone."""
    counts = (2 * (canaries // share // 2) for share in SHARES)
    return tuple(count for count in counts if count >= FEWEST_GUESSES)


def measure(
    scores: ArrayLike, coins: ArrayLike, delta: float, confidence: float = CONFIDENCE
) -> Measured:
    """The best lower bound of the numbers of guesses in `guess_counts`, corrected for choosing.

    `scores` float [m] and `coins` [m] of 0 and 1: half of the guesses say "in" about the highest
    scores, half say "out" about the lowest; ties go by the order of the canaries, which the coins
    know nothing of. Each number of guesses is tested at (1 − confidence) divided by how many
    there are (Bonferroni), so the bound exceeds the true ε with chance 1 − confidence at most.

    Raises ValueError where the two differ in length, a score is no finite number, a coin is
    neither 0 nor 1, or there are too few canaries for any guess.
    """
    values, truth = _checked(scores, coins)
    found = tuple(_tallies(values, truth))
    if not found:
        raise ValueError(f"{len(values)} canaries show nothing; use at least {FEWEST_GUESSES}")
    each = 1 - (1 - confidence) / len(found)
    bounds = [
        Measured(
            len(values),
            guesses,
            correct,
            len(found),
            delta,
            confidence,
            lower_bound(len(values), guesses, correct, delta, each),
        )
        for guesses, correct in found
    ]
    return max(bounds, key=lambda bound: bound.lower)


def _tallies(values: NDArray[np.float64], truth: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    order = np.argsort(values, kind="stable")
    for guesses in guess_counts(len(values)):
        out, into = order[: guesses // 2], order[-(guesses // 2) :]
        yield guesses, int((~truth[out]).sum() + truth[into].sum())


def _checked(scores: ArrayLike, coins: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, flips = np.asarray(scores, dtype=np.float64), np.asarray(coins)
    if values.ndim != 1 or values.shape != flips.shape:
        raise ValueError("scores and coins must be two vectors of one length")
    if not np.isfinite(values).all():
        raise ValueError("a score is not a finite number")
    if not np.isin(flips, (0, 1)).all():
        raise ValueError("a coin is neither 0 nor 1")
    return values, flips.astype(bool)


def _binomial(trials: int, counts: NDArray[np.int64], chance: float) -> NDArray[np.float64]:
    """P[Binomial(trials, chance) = count] for each of `counts`."""
    ways = gammaln(trials + 1) - gammaln(counts + 1) - gammaln(trials - counts + 1)
    mass: NDArray[np.float64] = np.exp(
        ways + xlogy(counts, chance) + xlog1py(trials - counts, -chance)
    )
    return mass


def _check(canaries: int, guesses: int, correct: int, delta: float) -> None:
    if not 0 <= correct <= guesses <= canaries:
        raise ValueError(
            f"{correct} right of {guesses} guesses about {canaries} canaries is impossible; give "
            "0 <= correct <= guesses <= canaries"
        )
    if not 0 <= delta <= 1:
        raise ValueError(f"delta is {delta!r}; it is a probability")
