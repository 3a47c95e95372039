"""What the ledger's pages show: budgets, losses and entries, as rows ready to read."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounting.dp.claims import Claim
from accounting.dp.figures import Figure
from accounting.keys import Limit
from accounting.models import Entry, EntryKind
from accounting.selectors import claims, shown, spending
from federation.protocol import plans
from federation.protocol.document import Protocol
from studies.models import Event, Institution, Study
from studies.selectors.protocols import protocol_of

OUTCOMES = {
    EntryKind.DECLARED: "budget in force",
    EntryKind.SEALED: "whole plan",
    EntryKind.RESERVED: "set aside before the site is asked",
    EntryKind.CHARGED: "the site was given the work",
    EntryKind.RELEASED: "a contribution left the site",
    EntryKind.ACKNOWLEDGED: "it became part of a model",
    EntryKind.LOST: "no answer: stays charged",
    EntryKind.REFUSED: "not used: stays charged",
    EntryKind.ABORTED: "never computed: given back",
    EntryKind.BOOKED: "only the site's signed journal proves it: counts for good",
    EntryKind.RAISED: "budget raised by two people",
    EntryKind.RETURNED: "what was committed and never used",
    EntryKind.ATTESTED: "no patient is at two institutions",
    EntryKind.COMMITTED: "an audit's coins, bound before round 1",
    EntryKind.REVEALED: "these coins, and what they measured",
    EntryKind.PROPOSED: "the next round's noise, and why",
}


@dataclass(frozen=True)
class Line:
    """One entry to read."""

    entry: Entry
    at: datetime
    meaning: str
    figure: dict[str, str] | None
    unit: str
    detail: str
    odometer: str  # what must stand beside the figure where it may not be claimed

    @property
    def shown(self) -> str:
        """The ε composed after it, rounded up; empty where the entry has none."""
        return shown.up(float(self.figure["epsilon"])) if self.figure else ""


@dataclass(frozen=True)
class Loss:
    """What one study spent at one institution, beside its budget."""

    institution: Institution
    claim: Claim
    budget: float | None
    unit: str

    @property
    def figure(self) -> Figure:
        """What may be claimed."""
        return self.claim.claimed

    @property
    def spent(self) -> Figure:
        """The sum so far: an odometer where `odometer` says so."""
        return self.claim.spent

    @property
    def odometer(self) -> str:
        """What must stand beside `spent` where it may not be claimed; else empty."""
        return spending.odometer(self.claim)

    @property
    def left(self) -> float | None:
        """What remains of the budget, as the one counts who keeps it; None before there is one."""
        return None if self.budget is None else self.claim.left(self.budget)

    @property
    def shown_left(self) -> str:
        """What remains, rounded down; a dash before there is a budget."""
        return "–" if self.left is None else shown.down(self.left)

    @property
    def share(self) -> float:
        """Spent part of the budget."""
        share = self.spent.epsilon / self.budget if self.budget else 0.0
        return min(share, spending.OVER)


def lines(rows: Iterable[Entry]) -> list[Line]:
    """Entries with their bodies read."""
    return [_line(row, json.loads(row.body)) for row in rows]


def losses(study: Study, institutions: Iterable[Institution]) -> list[Loss]:
    """One loss per institution, at the study's δ; ∞ where a charge of it cannot be counted."""
    protocol = protocol_of(study)
    found = []
    books = claims.of(study.slug)
    for house in institutions:
        budget = study_budget(protocol, house.slug)
        limit = Limit(budget or 0.0, protocol.privacy.target_delta)
        claim = books.study(study.slug, house.slug, limit)
        found.append(Loss(house, claim, budget, protocol.data.unit))
    return found


def study_budget(protocol: Protocol, institution: str) -> float | None:
    """The ε at which the study ends at that site; None while no plan is sealed."""
    try:
        return plans.epsilon_budget(protocol, institution)
    except plans.NotSealed:
        return None


def last_verdict() -> Event | None:
    """The newest verification by a person, whatever it found."""
    kinds = ("ledger_verified", "ledger_broken")
    return Event.objects.filter(kind__in=kinds).select_related("by").last()


def _line(row: Entry, body: dict[str, Any]) -> Line:
    at = datetime.fromisoformat(body["at"])
    unit = body.get("unit") or body.get("event", {}).get("unit", "")
    chosen = body.get("sealed") is False  # of a reservation: beyond the plan
    return Line(
        row,
        at,
        OUTCOMES.get(row.kind, ""),
        body.get("figure"),
        unit,
        _detail(body),
        shown.ODOMETER if chosen else "",
    )


def _detail(body: dict[str, Any]) -> str:
    tell = _DETAILS.get(body["kind"])
    if tell is not None:
        return tell(body)
    digest = body.get("tensors_digest") or body.get("model_digest") or body.get("commitment")
    return body.get("reason") or (f"SHA-256 {digest[:12]}…" if digest else "")


def _reserved(body: dict[str, Any]) -> str:
    event = body["event"]
    noise, rate = float(event["noise_multiplier"]), float(event["sample_rate"])
    return f"noise {noise:.5g}, sample rate {rate:.5g}, {event['steps']} steps"


def _booked(body: dict[str, Any]) -> str:
    told = f"the site's journal, entry {body['journal']['sequence']}"
    what = _reserved(body) if "event" in body else f"SHA-256 {body['tensors_digest'][:12]}…"
    return f"{what}; {told}"


def _returned(body: dict[str, Any]) -> str:
    steps = sum(event["steps"] for event in body["plan_left"])
    if not steps and float(body["rdp_returned"]) > 0:
        return f"{float(body['rdp_returned']):.4g} of its budget at Rényi order {body['order']}"
    if not steps:
        return "nothing: all of its plan had been reserved"
    return f"{steps} step{'' if steps == 1 else 's'} of its plan"


def _attested(body: dict[str, Any]) -> str:
    taken_back = "withdrawn by" if body.get("withdrawn") else "attested by"
    return f"{taken_back} {body['name']}: {body['text']}"


def _raised(body: dict[str, Any]) -> str:
    people = f"proposed by {body['proposed_by']}, approved by {body['approved_by']}"
    return f"ε ≤ {body['epsilon']}, before {body['before']}; {people}: {body['reason']}"


def _declared(body: dict[str, Any]) -> str:
    return f"ε ≤ {body['epsilon']} at δ = {body['delta']}: {body['reason']}"


def _sealed(body: dict[str, Any]) -> str:
    return f"{len(body['plan'])} events, budget ε = {float(body['limit']['epsilon']):g}"


def _proposed(body: dict[str, Any]) -> str:
    return f"noise {float(body['noise_multiplier']):.5g} for round {body['round']}"


_DETAILS: dict[str, Callable[[dict[str, Any]], str]] = {
    EntryKind.RESERVED: _reserved,
    EntryKind.BOOKED: _booked,
    EntryKind.RETURNED: _returned,
    EntryKind.ATTESTED: _attested,
    EntryKind.RAISED: _raised,
    EntryKind.DECLARED: _declared,
    EntryKind.SEALED: _sealed,
    EntryKind.PROPOSED: _proposed,
}
