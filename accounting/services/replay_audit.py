"""Replaying the rows of empirical audits: bound before training, and showing what they say."""

from dataclasses import dataclass, field
from typing import Any

from accounting.dp.audit import guess_counts, lower_bound
from accounting.models import EntryKind
from accounting.services.wrong import Wrong, near
from federation.protocol.audit import FalseCoins, coins_from


@dataclass
class Audits:
    """The commitments seen so far, by (study, institution, protocol digest)."""

    bound: dict[tuple[str, str, str], str] = field(default_factory=dict)
    revealed: dict[tuple[str, str, str], int] = field(default_factory=dict)  # how many coins

    def commit(self, body: dict[str, Any], *, began: bool) -> None:
        """Take a committed row; `began`: something was reserved for the study there before.

        Raises Wrong.
        """
        place = _place(body)
        if began:
            raise Wrong("it commits to coins after training had been reserved")
        if place in self.bound:
            raise Wrong("it commits to coins a second time")
        if len(bytes.fromhex(body["commitment"])) != 32:
            raise Wrong("its commitment is no SHA-256")
        self.bound[place] = body["commitment"]

    def reveal(self, body: dict[str, Any]) -> dict[str, str]:
        """Take a revealed row; returns the figure of ε that it states, for the replay to derive.

        Raises Wrong.
        """
        place = _place(body)
        bound = self.bound.get(place)
        if bound is None or bound != body["commitment"]:
            raise Wrong("it reveals coins that nobody committed to before it")
        if place in self.revealed:
            raise Wrong("it reveals coins a second time")
        try:
            coins = coins_from(body)
            coins.check(bound)
        except FalseCoins as error:
            raise Wrong(str(error)) from error
        self.revealed[place] = len(coins.flips)
        _check_bound(body["result"], len(coins.flips))
        figure: dict[str, str] = body["result"]["figure"]
        return figure

    def together(self, body: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
        """Take a revealed row of several institutions: who they are, and the figure it states.

        Their mechanisms run on rows of their own, and a coin is in one of them only: all that
        left is as private about it as that institution's own part, so the largest ε of them bounds
        all coins. Raises Wrong.
        """
        place, houses = _place(body), body["institutions"]
        if place in self.revealed:
            raise Wrong("it reveals coins a second time")
        each = [(place[0], house, place[2]) for house in houses]
        if (
            len(each) < 2
            or houses != sorted(set(houses))
            or any(x not in self.revealed for x in each)
        ):
            raise Wrong("it counts together what two institutions or more have not revealed")
        self.revealed[place] = sum(self.revealed[one] for one in each)
        _check_bound(body["result"], self.revealed[place])
        return houses, body["result"]["figure"]


def _place(body: dict[str, Any]) -> tuple[str, str, str]:
    place = (body["study"], body["institution"], body["protocol_digest"])
    kind = body["kind"]
    key = f"{place[0]}/{place[1]}/{kind}/{place[2]}"
    if kind not in (EntryKind.COMMITTED, EntryKind.REVEALED) or body["idempotency_key"] != key:
        raise Wrong(f"its idempotency key is not {key}")
    return place


def _check_bound(result: dict[str, Any], coins: int) -> None:
    canaries, guesses, correct = (result[name] for name in ("canaries", "guesses", "correct"))
    counts = guess_counts(canaries)
    if canaries != coins or guesses not in counts or result["tried"] != len(counts):
        raise Wrong("its numbers of canaries and guesses are not those of its coins")
    each = 1 - (1 - float(result["confidence"])) / len(counts)
    delta = float(result["figure"]["delta"])
    derived = lower_bound(canaries, guesses, correct, delta, each)
    if not near(result["lower"], derived):
        raise Wrong(
            f"it says that ε is at least {result['lower']}, but {correct} right of {guesses} "
            f"guesses show {derived:.6g}"
        )
