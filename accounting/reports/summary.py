"""Many events in few lines, for renderings that people read; JSON and CSV keep every row."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

READABLE = 60  # rows of one table that a person will read
SHORT = 12  # events that are listed one by one even where some are equal
_SAME = ("study", "phase", "noise_multiplier", "sample_rate", "steps", "max_grad_norm")
_SAME += ("batch_denominator",)
Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Group:
    """Equal mechanisms: `events` of them, at these institutions, each in these rounds."""

    like: dict[str, Any]  # a row that stands for all
    institutions: tuple[str, ...]
    rounds: str
    events: int
    states: str  # how many ended how
    shown_after: str  # the largest ε that followed one of them

    @property
    def where(self) -> str:
        """One slug, or how many institutions."""
        many = len(self.institutions)
        return self.institutions[0] if many == 1 else f"{many} institutions"


def condensed(rows: Rows) -> list[Group] | None:
    """The mechanisms with equal ones together; None where one row for each is as short."""
    groups = mechanisms(rows) if len(rows) > SHORT else []
    return groups if 0 < len(groups) < len(rows) else None


def mechanisms(rows: Rows) -> list[Group]:
    """Rows that differ only by place, round or outcome, together; in order of appearance."""
    found: dict[tuple, dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        place = found.setdefault(tuple(row[name] for name in _SAME), {})
        place.setdefault(row["institution"], []).append(row)
    return [group for houses in found.values() for group in _groups(houses)]


def ranges(numbers: Iterable[int]) -> str:
    """1, 2, 3, 5 as "1–3, 5"."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in runs)


def _span(numbers: Iterable[int]) -> str:
    found = sorted(set(numbers))
    return ranges(found) if len(found) < 2 else f"{found[0]}–{found[-1]}"


def releases(rows: Rows) -> list[dict[str, Any]]:
    """How much left each institution in each study, and when."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["study"], row["institution"]), []).append(row)
    return [
        {
            "study": study,
            "institution": institution,
            "count": len(group),
            "rounds": _span(row["round"] for row in group),
            "from": group[0]["at"][:19],
            "to": group[-1]["at"][:19],
        }
        for (study, institution), group in found.items()
    ]


def incidents(rows: Rows) -> list[dict[str, Any]]:
    """Equal incidents together: what, why and who, how often, and where; newest words kept."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["what"], row["reason"], row["approved_by"]), []).append(row)
    return [_together(group) for group in found.values()]


def _together(group: Rows) -> dict[str, Any]:
    if len(group) == 1:
        return {**group[0], "count": 1}
    houses = {row["institution"] for row in group if row["institution"]}
    where = next(iter(houses)) if len(houses) == 1 else f"{len(houses)} institutions"
    first, last = group[0]["at"][:10], group[-1]["at"][:10]
    days = first if first == last else f"{first} to {last}"
    return {
        **group[0],
        "at": days,
        "institution": where,
        "round": f"{len(group)} times",
        "count": len(group),
    }


def _groups(houses: dict[str, list[dict[str, Any]]]) -> list[Group]:
    """Institutions that did the same in the same rounds share a line."""
    alike: dict[str, list[str]] = {}
    for slug, rows in houses.items():
        alike.setdefault(ranges(row["round"] for row in rows), []).append(slug)
    return [_group(houses, slugs, rounds) for rounds, slugs in alike.items()]


def _group(houses: dict[str, list[dict[str, Any]]], slugs: list[str], rounds: str) -> Group:
    rows = [row for slug in slugs for row in houses[slug]]
    after = max((row["shown_after"] for row in rows), key=float)
    counts = Counter(row["state"] for row in rows).most_common()
    states = ", ".join(f"{n} {state}" for state, n in counts) if len(counts) > 1 else counts[0][0]
    return Group(rows[0], tuple(slugs), rounds, len(rows), states, after)
