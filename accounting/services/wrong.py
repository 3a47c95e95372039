"""What is wrong with a row of the ledger, and the comparisons of figures that find it."""

from accounting.dp.figures import Figure
from accounting.keys import Limit

TOLERANCE = 1e-6  # relative; another processor may differ in the last digits of an FFT
BEFORE_OURS = ("dp_accounting ", 1e-3)  # whose grid `pld` had at first; it is up to 3e-4 off ours


class Wrong(Exception):
    """What is wrong with a row, as a sentence."""


def limit_of(check: dict[str, str]) -> Limit:
    """The limit that a recorded check was made against."""
    return Limit(float(check["limit"]), float(check["delta"]))


def check_scope(check: dict[str, str], scope: str, figure: Figure) -> None:
    """Compare one recorded check of a budget with what the gate must have said. Raises Wrong."""
    if check["scope"] != scope:
        raise Wrong(f"the check of the {scope} budget is missing")
    same_figure(check, figure)
    if figure.epsilon > float(check["limit"]) * (1 + _tolerance(check)):
        raise Wrong(
            f"it spends ε = {figure.shown()} of a {scope} budget of {check['limit']}: it should "
            "have been refused"
        )


def same_figure(stored: dict[str, str], derived: Figure) -> None:
    """Compare a recorded figure with what its events cost. Raises Wrong."""
    if stored["accountant"] != derived.accountant:
        raise Wrong(f"its ε is by {stored['accountant']}, expected {derived.accountant}")
    said = float(stored["epsilon"])
    if abs(said - derived.epsilon) <= _tolerance(stored) * max(1.0, derived.epsilon):
        return
    version = "" if stored["version"] == derived.version else f" (written by {stored['version']})"
    raise Wrong(
        f"it says ε = {said:.6g}{version}, but its events cost ε = {derived.epsilon:.6g} "
        f"({derived.accountant}, {derived.version}, δ = {derived.delta:g})"
    )


def near(said: str, derived: float) -> bool:
    """Whether a recorded number is the derived one, but for the last digits."""
    return abs(float(said) - derived) <= TOLERANCE * max(1.0, derived)


def _tolerance(stored: dict[str, str]) -> float:
    version, wider = BEFORE_OURS
    return wider if stored["version"].startswith(version) else TOLERANCE
