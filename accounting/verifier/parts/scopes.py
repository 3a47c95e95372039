"""What a report is about: the entries that its scope covers, judged by the entries themselves."""

from __future__ import annotations

import re
from typing import Any

from accounting.verifier.parts.entries import Entries
from accounting.verifier.parts.lives import LIVING, place_of
from accounting.verifier.parts.reading import Wrong, pick

NARROWING = ("study", "institution", "lineage", "unit", "from", "to")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Scope:
    """The scope of one report. Raises Wrong where it is none, or not that of the report's study.

    `told` is all up to its head, `rows` what it must tell of, oldest first. A period is that of
    reservations: what became of one may be told as long as the period did not end before. Days are
    those of UTC.
    """

    def __init__(self, document: Any, entries: Entries, head: int) -> None:
        scope = pick(document["report"], "scope", dict)
        self._wanted = {n: pick(scope, n, str) if n in scope else "" for n in NARROWING}
        if not all(DAY.fullmatch(self._wanted[name] or "0000-00-00") for name in ("from", "to")):
            raise Wrong("the period that it is about is none")
        self.study = str((document["report"].get("study") or {}).get("slug", ""))
        if self.study != self._wanted["study"]:
            raise Wrong("the study that it names is not that of its scope")
        self.told = [body for number, body in sorted(entries.bodies.items()) if number <= head]
        self._reserved = {place_of(b): b for b in self.told if b.get("kind") == "reserved"}
        self.rows = [body for body in self.told if self._covers(body)]

    @property
    def is_period(self) -> bool:
        """Whether a part of the time is left out."""
        return bool(self._wanted["from"] or self._wanted["to"])

    def _covers(self, body: dict[str, Any]) -> bool:
        living = body.get("kind") in LIVING
        begun = self._reserved.get(place_of(body), body) if living else body
        last = self._wanted["to"]
        return (
            self._is_at(body)
            and (not last or _day(body) <= last)
            and _day(begun) >= self._wanted["from"]
            and self._wanted["unit"] in ("", _unit(begun))
        )

    def _is_at(self, body: dict[str, Any]) -> bool:
        names = ("study", "institution", "lineage")
        return all(self._wanted[n] in ("", body.get(n, "")) for n in names)


def _day(body: dict[str, Any]) -> str:
    """Its day in UTC, in which every entry is written."""
    return pick(body, "at", str)[:10]


def _unit(body: dict[str, Any]) -> str:
    return str(body["event"].get("unit", "row") if "event" in body else body.get("unit", ""))
