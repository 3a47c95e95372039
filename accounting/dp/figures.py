"""The form of an answer: an ε never goes without its δ and the accountant that derived it."""

import math
from dataclasses import asdict, dataclass
from decimal import ROUND_CEILING, Decimal

SMALLEST_DELTA = 1e-10


class Unbounded(ValueError):
    """The accountant could not bound ε for this history; no number may be shown."""


@dataclass(frozen=True)
class Figure:
    """(ε, δ) by a named accountant; `low` is a certified lower end where the accountant has one.

    An accountant never answers infinity (it raises `Unbounded`); a caller may write it for a
    release without noise.
    """

    epsilon: float
    delta: float
    accountant: str
    version: str
    discretisation: str
    low: float | None = None

    def shown(self, places: int = 3) -> str:
        """ε for people, rounded up: never less than what was spent."""
        if math.isinf(self.epsilon):
            return "∞"
        step = Decimal(1).scaleb(-places)
        return str(Decimal(repr(self.epsilon)).quantize(step, rounding=ROUND_CEILING))

    def to_json(self) -> dict[str, float | str | None]:
        """Every field under its own name, floats at full precision."""
        return asdict(self)


def check_delta(delta: float) -> float:
    """Return δ. Raises ValueError where floating point cannot carry it, or it means nothing."""
    if not SMALLEST_DELTA <= delta < 1:
        raise ValueError(
            f"delta is {delta!r}; give {SMALLEST_DELTA} <= delta < 1, and below one over the "
            "number of people"
        )
    return float(delta)


def bounded(epsilon: float, who: str) -> float:
    """ε as a plain float. Raises Unbounded where it is NaN, infinite or negative."""
    if not math.isfinite(epsilon) or epsilon < 0:
        raise Unbounded(
            f"the {who} accountant could not bound epsilon (it got {epsilon}); use more noise, a "
            "larger delta or another accountant"
        )
    return float(epsilon)
