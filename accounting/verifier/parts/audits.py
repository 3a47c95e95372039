"""Empirical audits: coins bound before training, shown after it, and the lower bound they prove.

The bound is that of Steinke, Nasr and Jagielski 2023 (arXiv 2305.08846, theorem 5.2). How many
guesses were right cannot be seen from a ledger; everything that follows from it can.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

from accounting.verifier.parts.reading import Wrong, decimal, hexadecimal, pick

MOST_CANARIES = 100_000
LARGEST_BOUND, WALK, HALVINGS = 64.0, 0.125, 30
SHARES, FEWEST_GUESSES = (1, 2, 4), 6
BOUND_TOLERANCE = 1e-6

AuditPlace = tuple[str, str, str]  # study, institution, protocol digest


class Audits:
    """The commitments so far."""

    def __init__(self) -> None:
        self.bound: dict[AuditPlace, str] = {}
        self._revealed: dict[AuditPlace, int] = {}

    def commit(self, body: dict[str, Any], *, began: bool) -> None:
        """Coins are bound; `began`: training was reserved before. Raises Wrong."""
        place = _audited(body)
        if began:
            raise Wrong("it binds coins after training was reserved, which binds nothing")
        if place in self.bound:
            raise Wrong("it binds coins a second time")
        self.bound[place] = hexadecimal(body, "commitment")

    def reveal(self, body: dict[str, Any]) -> dict[str, Any]:
        """Coins are shown; returns the figure of ε that stands beside the bound. Raises Wrong."""
        place = _audited(body)
        if place in self._revealed:
            raise Wrong("it shows coins a second time")
        self._revealed[place] = 0
        coins, salt = pick(body, "coins", str), bytes.fromhex(hexadecimal(body, "salt"))
        if not coins or set(coins) - {"0", "1"} or len(coins) > MOST_CANARIES:
            raise Wrong("its coins are no text of 0 and 1")
        said = hexadecimal(body, "commitment")
        if hashlib.sha256(salt + coins.encode("ascii")).hexdigest() != said:
            raise Wrong("the coins that it shows are not those that were bound")
        if self.bound.get(place) != said:
            raise Wrong("nobody was bound to these coins before training")
        result = pick(body, "result", dict)
        self._revealed[place] = len(coins)
        _check_bound(result, len(coins))
        figure: dict[str, Any] = pick(result, "figure", dict)
        return figure

    def together(
        self, body: dict[str, Any], *, complete: bool
    ) -> tuple[list[str], dict[str, Any]] | None:
        """Coins of several institutions as one: who they are, and the figure beside the bound.

        None where a part of the ledger does not hold all of them. Raises Wrong.

        Each coin moves one institution's rows alone, so the largest of their ε holds for all.
        """
        study, _, digest = place = _audited(body)
        houses = pick(body, "institutions", list)
        if place in self._revealed:
            raise Wrong("it shows coins a second time")
        counts = [self._revealed.get((study, str(house), digest), 0) for house in houses]
        if not complete and not all(counts):
            return None
        self._revealed[place] = sum(counts)
        if len(counts) < 2 or len(set(map(str, houses))) != len(counts) or not all(counts):
            raise Wrong("it counts together what two institutions or more have not shown")
        result = pick(body, "result", dict)
        _check_bound(result, sum(counts))
        return houses, pick(result, "figure", dict)


def _audited(body: dict[str, Any]) -> AuditPlace:
    return body["study"], body["institution"], pick(body, "protocol_digest", str)


def _check_bound(result: dict[str, Any], coins: int) -> None:
    canaries, guesses = pick(result, "canaries", int), pick(result, "guesses", int)
    correct, confidence = pick(result, "correct", int), decimal(result, "confidence")
    counts = [2 * (canaries // share // 2) for share in SHARES]
    counts = [count for count in counts if count >= FEWEST_GUESSES]
    if canaries != coins or guesses not in counts or pick(result, "tried", int) != len(counts):
        raise Wrong("its numbers of canaries and guesses are not those of its coins")
    if not (0 <= correct <= guesses and 0.0 < confidence < 1.0):
        raise Wrong("its number of right guesses or its confidence is impossible")
    level = (1.0 - confidence) / len(counts)
    delta = decimal(pick(result, "figure", dict), "delta")
    proved = proved_bound(canaries, guesses, correct, delta, level)
    said = decimal(result, "lower")
    if abs(said - proved) > BOUND_TOLERANCE * max(1.0, proved):
        raise Wrong(
            f"it says ε ≥ {said:.6g}, but {correct} right of {guesses} guesses prove {proved:.6g}"
        )


def proved_bound(canaries: int, guesses: int, correct: int, delta: float, level: float) -> float:
    """The largest ε such that it and all smaller ones have a p-value below `level`."""

    def rejected(epsilon: float) -> bool:
        return p_value(canaries, guesses, correct, epsilon, delta) < level

    if not rejected(0.0):
        return 0.0
    low = 0.0
    while low < LARGEST_BOUND and rejected(low + WALK):
        low += WALK
    high = low + WALK
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return low


def p_value(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """The chance of so many right guesses under (ε, δ), at most."""
    if correct == 0:
        return 1.0
    right, wrong = -math.log1p(math.exp(-epsilon)), -epsilon - math.log1p(math.exp(-epsilon))
    masses = [
        math.exp(
            math.lgamma(guesses + 1)
            - math.lgamma(count + 1)
            - math.lgamma(guesses - count + 1)
            + count * right
            + (guesses - count) * wrong
        )
        for count in range(guesses + 1)
    ]
    below, most = 0.0, 0.0
    for steps in range(1, correct + 1):
        below += masses[correct - steps]
        most = max(most, below / steps)
    return min(1.0, math.fsum(masses[correct:]) + 2.0 * canaries * delta * most)
