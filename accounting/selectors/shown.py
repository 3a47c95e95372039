"""ε for people: what was spent is rounded up, what is left is rounded down."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

ODOMETER = "an odometer: it may be shown, not claimed"
_STEP = Decimal("0.001")


def up(epsilon: float, places: int = 3) -> str:
    """Never less than was spent."""
    return str(Decimal(repr(epsilon)).quantize(Decimal(1).scaleb(-places), ROUND_CEILING))


def down(epsilon: float) -> str:
    """Three places, never more than is left; nothing below 0."""
    return str(Decimal(repr(max(0.0, epsilon))).quantize(_STEP, rounding=ROUND_FLOOR))
