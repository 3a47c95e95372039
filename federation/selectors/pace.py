"""How fast a site steps and how long it still needs, as seen from here.

Made of the moments at which the hub heard of steps: sites say no durations.
"""

from dataclasses import dataclass
from datetime import datetime

from federation.models import Assignment, AssignmentStatus

_UNITS = (("second", 1), ("minute", 60), ("hour", 3600), ("day", 86400))


@dataclass(frozen=True)
class Pace:
    """`rate` in steps per second; `left` in seconds; `late`: past the deadline at this rate."""

    rate: float
    left: float
    late: bool

    @property
    def words(self) -> str:
        """For people: 12 steps a minute, about 4 minutes left."""
        told = f"{_often(self.rate)}, {_lasting(self.left)}"
        return f"{told}: after the deadline" if self.late else told


def pace(row: Assignment, now: datetime) -> Pace | None:
    """The pace of a site that computes; None before two different steps were heard of."""
    if row.status != AssignmentStatus.TAKEN or not (row.first_step_at and row.step_at):
        return None
    steps = row.step - row.first_step
    seconds = (row.step_at - row.first_step_at).total_seconds()
    if steps <= 0 or seconds <= 0:
        return None
    rate = steps / seconds
    needed = (row.steps - row.step) / rate
    left = max(0.0, needed - (now - row.step_at).total_seconds())
    return Pace(rate, left, late=left > (row.expires_at - now).total_seconds())


def _often(rate: float) -> str:
    """The rate in the shortest unit in which it is at least one."""
    name, seconds = next(((n, s) for n, s in _UNITS if rate * s >= 1), _UNITS[-1])
    many = float(f"{rate * seconds:.2g}")
    return f"{many:g} {'step' if many == 1 else 'steps'} {'an' if name == 'hour' else 'a'} {name}"


def _lasting(seconds: float) -> str:
    """Rounded up to whole units of a time; nobody plans by the second."""
    if seconds < 60:
        return "less than a minute left"
    name, length = next((n, s) for n, s in reversed(_UNITS) if seconds >= 2 * s or s == 60)
    many = int(-(-seconds // length))
    return f"about {many} {name}{'' if many == 1 else 's'} left"
