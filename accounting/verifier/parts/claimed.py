"""What a report claims: of each part, of all parts together, and in its sentences.

A history whose parameters were sealed may be claimed by what it cost. One that went beyond its
plan, and a dataset that several studies used, was kept by a Rényi filter: of that the bound is
claimed which the filter let pass at most, never the sum so far. Over several studies that no
filter joins nothing is claimed of all together: a later plan may follow from earlier results.
"""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

from accounting.verifier.parts.entries import Entries
from accounting.verifier.parts.figures import (
    TOLERANCES,
    Event,
    Figures,
    check_shown,
    event,
    history,
    sealed_order,
)
from accounting.verifier.parts.lives import place_of
from accounting.verifier.parts.losses import History
from accounting.verifier.parts.reading import Unknown, Wrong, decimal, pick
from accounting.verifier.parts.renyi import best_order, converted
from accounting.verifier.parts.scopes import Scope

ONE, ALL = "if_no_person_is_at_two", "if_a_person_may_be_at_all"
QUOTED = re.compile(r"\(ε = (\S+), δ = (\S+)\), by the (\S+) accountant")
ODOMETER = "odometer: the later plans may have been chosen after earlier results"
UNIT_WORDS = {"row": "one row of data", "patient": "one patient"}
CLOSE = 1e-6  # relative: bounds are formulas, with no grid

Told = list[tuple[dict[str, Any], Event]]  # reservations that count, with their events


class Claimed(NamedTuple):
    """A part as the claims see it: what was done, and what its filter let pass at most."""

    key: str
    unit: str
    spent: History
    order: float | None
    divergence: float
    studies: frozenset[str]


class Claims:
    """Judges the claims of one report against the entries up to its head."""

    def __init__(self, document: Any, entries: Entries, figures: Figures, about: Scope) -> None:
        self.document, self.figures, self.about = document, figures, about
        self.study = about.study
        self.rows = about.told
        self.entries = entries
        self.parts: dict[str, Claimed] = {}

    def part(self, part: Any, told: Told) -> None:
        """What is claimed of one part, and that it is no sum so far. Raises Wrong."""
        where, lineage = pick(part, "institution", str), pick(part, "lineage", str)
        figure, spent = pick(part, "claimed", dict), history(found for _, found in told)
        unit = str(part.get("unit"))
        if {found.unit for _, found in told} - {unit}:
            raise Wrong(f"of {where} it claims a cost per {unit}, its events cost another unit")
        _check_told(figure, unit if spent else figure.get("unit"), where)
        order = sealed_order(figure)
        if order is None and spent and self._chose(where, lineage):
            raise Wrong(f"of {where} it claims a sum, though it was chosen on the way")
        most = 0.0
        if order is None:
            self.figures.check(figure, spent)
        elif spent:
            if order not in self._orders(where, lineage):
                raise Wrong(f"of {where} it names the order {order:g}, at which nothing was kept")
            most = self._bound(where, lineage, told, order)
            self._check_bound(figure, most, order, f"of {where}")
        key = where if self.study else f"{where}/{lineage}"
        studies = frozenset(body["study"] for body, _ in told)
        self.parts[key] = Claimed(key, unit, spent, order, most, studies)

    def across(self) -> None:
        """The groups of all parts, and the sentences that quote them. Raises Wrong."""
        groups = pick(pick(self.document, "parameters", dict), "across_institutions", list)
        grouped = [key for group in groups for key in pick(group, "parts", list)]
        units = [pick(group, "unit", str) for group in groups]
        if len(set(grouped)) < len(grouped) or len(set(units)) < len(units):
            raise Wrong("it composes not all parts of one unit, or one of them twice")
        missing = [key for key, part in self.parts.items() if part.spent and key not in grouped]
        if missing:
            raise Wrong(f"it claims nothing of {missing[0]}, which spent something")
        for group in groups:
            self._group(group)
        self._statements(groups)

    def _statements(self, groups: list[Any]) -> None:
        rows = pick(self.document, "statement", list)
        claims = [group[group["claimed"]] for group in groups]
        if [row.get("figure") for row in rows] != (claims or [None]):
            raise Wrong("its statements do not quote what it claims of each privacy unit")
        for row, group in zip(rows, groups):
            self._check_sentence(pick(row, "sentence", str), group)

    def _check_sentence(self, said: str, group: Any) -> None:
        """One figure, with its own terms, about this unit and these parts. Raises Wrong."""
        claim, one = group[group["claimed"]], group["claimed"] == ONE
        promise = "nothing is promised" if group.get("odometer") else "by no more than"
        quoted = [(claim["shown"], claim["delta"], str(claim["accountant"]).upper())]
        unit = UNIT_WORDS.get(group["unit"], f"one {group['unit']}")
        words = ["at one institution" if one else f" at all {len(group['parts'])} ", promise]
        words += [" in this period "] if self.about.is_period else []
        if one and isinstance(group["attested_by"], list) and len(group["parts"]) > 1:
            words.append(f"as {group['attested_by'][-1]['name']} attests")
        if QUOTED.findall(said) != quoted or said.count("ε = ") != 1:
            raise Wrong("its statement does not quote its own figure")
        if not said.startswith(f"For {unit}") or not all(each in said for each in words):
            raise Wrong("its statement is about something else than its figure")

    def _chose(self, where: str, lineage: str) -> bool:
        """Whether anything went beyond its plan, or several studies used the dataset, ever."""
        counts = [body for body in self._counted() if body["institution"] == where]
        studies = (
            {self.study} if self.study else {b["study"] for b in counts if b["lineage"] == lineage}
        )
        return len(studies) > 1 or not all(self._within(study, where) for study in studies)

    def _counted(self) -> list[dict[str, Any]]:
        """Every row that spent something, whether or not a period leaves it out."""
        gone = {place_of(body) for body in self.rows if body["kind"] == "aborted"}
        found = [b for b in self.rows if b["kind"] in ("reserved", "booked") and "event" in b]
        return [b for b in found if b["kind"] == "booked" or place_of(b) not in gone]

    def _within(self, study: str, where: str) -> bool:
        """Whether all that a study spent at an institution is a part of a plan that it sealed."""
        mine = [b for b in self.rows if (b.get("study"), b.get("institution")) == (study, where)]
        counts = [b for b in self._counted() if (b["study"], b["institution"]) == (study, where)]
        spent = history(event(body["event"]) for body in counts)
        plans = [history(map(event, b["plan"])) for b in mine if b["kind"] == "sealed"]
        return any(all(n <= plan.get(p, 0) for p, n in spent.items()) for plan in plans)

    def _bound(self, where: str, lineage: str, told: Told, order: float) -> float:
        """The largest divergence that the filter ever let pass: by each limit it had."""
        place = 0 if self.study else 1
        limits = [body["checks"][place] for body, _ in told if body["kind"] == "reserved"]
        if not self.study:
            last = self._declared(where, lineage)[-1:]
            limits += [{"limit": b["epsilon"], "delta": b["delta"]} for b in last]
        spent = self.figures.divergence(history(found for _, found in told), order)
        most = [_divergence(decimal(c, "limit"), decimal(c, "delta"), order) for c in limits]
        return max([spent, *most])

    def _orders(self, where: str, lineage: str) -> set[float]:
        """The orders that a part's filter had: declared with its dataset, or of its limits."""
        declared = [] if self.study else self._declared(where, lineage)
        if declared:
            return {decimal(body, "filter_order") for body in declared}
        place, study = (0, self.study) if self.study else (1, None)
        mine = [b for b in self.rows if b.get("institution") == where]
        mine = [b for b in mine if study == b["study"] or (not study and b["lineage"] == lineage)]
        checks = [b["checks"][place] for b in mine if b["kind"] == "reserved"]
        limits = [(decimal(c, "limit"), decimal(c, "delta")) for c in checks]
        plans = [b["limit"] for b in mine if study and b["kind"] == "sealed"]
        limits += [(decimal(p, "epsilon"), decimal(p, "delta")) for p in plans]
        return {best_order(*limit) for limit in limits}

    def _declared(self, where: str, lineage: str) -> list[dict[str, Any]]:
        """The rows of a dataset's lifetime budget, oldest first."""
        rows = [b for b in self.rows if b["kind"] in ("declared", "raised")]
        return [b for b in rows if (b["institution"], b["lineage"]) == (where, lineage)]

    def _check_bound(self, figure: Any, divergence: float, order: float, where: str) -> None:
        """A bound may be wider than the filter's, never narrower. Raises Wrong."""
        least = converted(divergence, order, decimal(figure, "delta"))
        if decimal(figure, "epsilon") < least * (1.0 - CLOSE):
            said = figure["epsilon"]
            raise Wrong(f"{where} it claims ε = {said}, and the filter lets {least:.6g} pass")

    def _group(self, group: Any) -> None:
        if pick(group, "claimed", str) not in (ONE, ALL):
            raise Wrong(f"it claims {group['claimed'][:80]!r}, which is none of its two readings")
        parts = [self.parts[key] for key in pick(group, "parts", list) if key in self.parts]
        if len(parts) != len(group["parts"]) or {part.unit for part in parts} - {group["unit"]}:
            raise Wrong("it composes parts that it does not have, or of different units")
        one, together = pick(group, ONE, dict), pick(group, ALL, dict)
        if {one["delta"], together["delta"]} != {group["delta"]}:
            raise Wrong("it compares an ε at one δ with an ε at another")
        for figure in (one, together):
            _check_told(figure, group["unit"], "all together")
        self._check_dearest(one, parts)
        self._check_together(together, parts)
        if group.get("odometer", "") != (ODOMETER if _is_odometer(parts) else ""):
            raise Wrong("of several studies it claims a sum that later plans may have followed")
        if group["claimed"] == ONE and sum(bool(part.spent) for part in parts) > 1:
            self._check_attested(group, parts)

    def _check_dearest(self, figure: Any, parts: list[Claimed]) -> None:
        said, delta = decimal(figure, "epsilon"), decimal(figure, "delta")
        for part in parts:
            if part.order is not None and part.spent:
                least = converted(part.divergence, part.order, delta)
            else:
                least = self.figures.interval("pld", part.spent, delta)[0].low
            if said < least * (1.0 - CLOSE) - 1e-9:
                raise Wrong(f"its dearest part costs ε = {said:.6g}, and {part.key} {least:.6g}")

    def _check_together(self, figure: Any, parts: list[Claimed]) -> None:
        orders = [part.order for part in parts if part.order is not None and part.spent]
        total: History = {}
        for part in parts:
            for price, steps in part.spent.items():
                total[price] = total.get(price, 0) + steps
        if not orders:
            self.figures.check(figure, total)
            return
        lowest = min(orders)
        spent = math.fsum(
            part.divergence
            if part.order is not None
            else self.figures.divergence(part.spent, lowest)
            for part in parts
        )
        if sealed_order(figure) != lowest:
            raise Wrong(f"it does not compose its filters at the lowest order, {lowest:g}")
        self._check_bound(figure, spent, lowest, "of all together")

    def _check_attested(self, group: Any, parts: list[Claimed]) -> None:
        """The maximum is claimed on somebody's word that stands in the ledger. Raises Wrong."""
        said = group["attested_by"]
        last = said[-1] if isinstance(said, list) and said else {}
        found = [b for b in self.rows if b["sequence"] == last.get("entry")]
        body = found[0] if found and found[0]["kind"] == "attested" else {}
        if body.get("study") != self.study or body.get("withdrawn"):
            raise Wrong("it claims the dearest part alone, and nobody attests disjoint patients")
        if (last.get("name"), last.get("text")) != (body["name"], body["text"]):
            raise Wrong("it quotes an attestation otherwise than the ledger")
        ran = {self._protocol(part.key) for part in parts if part.spent}
        if ran != {body["protocol_digest"]}:
            raise Wrong("it claims the dearest part alone, on an attestation of another protocol")
        if not {part.key for part in parts} <= set(pick(body, "institutions", list)):
            raise Wrong("it claims the dearest part alone, and the attestation names fewer")
        later = (b for b in self.rows if b["kind"] == "attested")
        later = (b for b in later if b["sequence"] > body["sequence"])
        if any(b["study"] == self.study and b.get("withdrawn") for b in later):
            raise Wrong("it claims the dearest part alone, on an attestation that was withdrawn")

    def _protocol(self, where: str) -> str:
        """The protocol that was sealed last at an institution, or that its rounds ran under."""
        mine = [
            b for b in self.rows if (b.get("study"), b.get("institution")) == (self.study, where)
        ]
        for kind in ("sealed", "reserved"):
            for body in reversed(mine):
                if body["kind"] == kind:
                    return pick(body, "protocol_digest", str)
        return ""


def _check_told(figure: Any, unit: Any, where: str) -> None:
    """What people read of a figure: its rounding, its unit, its accountant. Raises Wrong."""
    check_shown(figure, where)
    if figure.get("unit") != unit:
        raise Wrong(f"of {where} it claims ε per {figure.get('unit')}, of costs per {unit}")
    if figure.get("accountant") not in ("rdp", *TOLERANCES):
        raise Unknown(f"the accountant {str(figure.get('accountant'))[:80]!r}")


def _is_odometer(parts: list[Claimed]) -> bool:
    """Whether one study may have been chosen after another's results, with no filter over them."""
    spent = [part for part in parts if part.spent]
    studies = {study for part in spent for study in part.studies}
    filtered = all(part.order is not None for part in spent)
    return len(spent) > 1 and len(studies) > 1 and not filtered


def _divergence(limit: float, delta: float, order: float) -> float:
    """The largest Rényi divergence at an order that still proves (limit, δ): see `converted`."""
    free = -math.log1p(-delta * delta)
    return max(limit - math.log1p(-1 / order) + math.log(delta * order) / (order - 1.0), free)
