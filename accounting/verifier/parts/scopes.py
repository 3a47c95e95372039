"""What a report is about: the entries that its scope covers, judged by the entries themselves."""

from __future__ import annotations

import re
from typing import Any

from accounting.verifier.parts.entries import Entries
from accounting.verifier.parts.lives import LIVING, place_of
from accounting.verifier.parts.reading import Wrong, pick

AUDITED = ("committed", "revealed")
NARROWING = ("study", "institution", "lineage", "unit", "from", "to")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Scope:
    """The scope of one report. Raises Wrong where it is none, or not that of the report's study.

    `told` is all up to its head, `rows` what it must tell of, oldest first. A period is that of
    reservations: what became of one may be told as long as the period did not end before. Days are
    those of UTC. `audits` are the rows of empirical audits that it must tell of.
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
        self.audits = [b for b in self.told if b.get("kind") in AUDITED and self._has_audit(b)]

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

    def _has_audit(self, body: dict[str, Any]) -> bool:
        """An audit is about a whole study, whichever period or unit a report tells of it."""
        last = self._wanted["to"]
        of_all = bool(self.study) and not body["institution"]
        return (not last or _day(body) <= last) and self._is_at(body, of_all=of_all)

    def _is_at(self, body: dict[str, Any], *, of_all: bool = False) -> bool:
        names = ("study",) if of_all else ("study", "institution", "lineage")
        return all(self._wanted[n] in ("", body.get(n, "")) for n in names)


def _day(body: dict[str, Any]) -> str:
    """Its day in UTC, in which every entry is written."""
    return pick(body, "at", str)[:10]


def _unit(body: dict[str, Any]) -> str:
    return str(body["event"].get("unit", "row") if "event" in body else body.get("unit", ""))
