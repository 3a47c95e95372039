"""The burn-down of one part: ε composed so far, by round in a study, by event across studies."""

from collections.abc import Sequence
from typing import Any

from accounting.dp.claims import claim
from accounting.dp.events import PrivacyEvent
from accounting.reports.parts import Part
from accounting.reports.trail import Deed

MOST_POINTS = 40  # across studies every point is composed anew


def curve(part: Part) -> dict[str, Any]:
    """{"over": "round" | "event", "points": [[x, ε]…]}; a study's points are the ledger's own."""
    counted = [deed for deed in part.deeds if deed.counted]
    if part.study and not part.earlier and part.by is None:
        return {"over": "round", "points": _stored(counted)}
    return {"over": "event", "points": _composed(part, counted)}


def _stored(deeds: Sequence[Deed]) -> list[list[str]]:
    """The last figure of each round, as the entries have it."""
    ends = {deed.reserved["round"]: deed.reserved["figure"]["epsilon"] for deed in deeds}
    return [[str(number), ends[number]] for number in sorted(ends)]


def _so_far(part: Part, events: Sequence[PrivacyEvent]) -> str:
    return repr(claim(events, part.delta, part.by).spent.epsilon)


def _composed(part: Part, deeds: Sequence[Deed]) -> list[list[str]]:
    """ε at some of the events, from what was spent before the period."""
    events, last = [*part.earlier], len(deeds)
    step = max(1, -(-last // MOST_POINTS))
    points = [["0", _so_far(part, events)]]
    for number, deed in enumerate(deeds, start=1):
        events.append(deed.event)
        if number % step == 0 or number == last:
            points.append([str(number), _so_far(part, events)])
    return points
