"""Which sealed plans still count against the datasets they were sealed for, and what all demand.

A study's demand on a dataset is the larger of its plan and of what it reserved, price by price,
until its plan is returned; then it is what it reserved. Where its noise is chosen on the way there
are no prices: it commits its whole budget, as the Rényi divergence that its own filter lets pass.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from accounting.dp.currency import renyi
from accounting.dp.events import PrivacyEvent
from accounting.dp.filters import filling
from accounting.models import Entry
from accounting.selectors import histories, written
from accounting.selectors.plain import select

Place = tuple[str, str]  # institution, lineage

_STANDING = (
    "SELECT id, digest FROM accounting_entry AS plan WHERE kind = 'sealed' AND NOT EXISTS "
    "(SELECT 1 FROM accounting_entry AS back WHERE back.idempotency_key = "
    "REPLACE(plan.idempotency_key, '/sealed/', '/returned/'))"
)
_SEALED = (
    "SELECT id, digest, NOT EXISTS (SELECT 1 FROM accounting_entry AS back WHERE "
    "back.idempotency_key = REPLACE(plan.idempotency_key, '/sealed/', '/returned/')) "
    "FROM accounting_entry AS plan WHERE kind = 'sealed'"
)


class Unreadable(Exception):
    """A row that says what is committed cannot be read: the ledger is broken there."""

    def __init__(self, sequence: int) -> None:
        super().__init__(
            f"entry {sequence} cannot be read, and what its plan commits with it; verify the "
            "ledger, and restore the row from a backup: no budget is known before"
        )


@dataclass(frozen=True)
class Commitment:
    """One study's whole plan at one institution, sealed and not returned."""

    study: str
    institution: str
    lineage: str
    protocol_digest: str
    unit: str
    order: str  # of the filter it was sealed under, as the ledger writes it
    steps: histories.Steps = field(compare=False)
    bound: float = field(default=0.0, compare=False)  # nats at `order`; 0 where a plan is sealed

    @property
    def name(self) -> tuple[str, str, str]:
        """What a sealed plan holds for."""
        return self.study, self.institution, self.protocol_digest

    def left(self, spent: histories.Steps) -> tuple[tuple[PrivacyEvent, ...], float]:
        """What is not reserved yet: events of the plan, and the divergence at the plan's order.

        `spent` is what the study spent of the dataset.
        """
        events = histories.events([self.steps - spent])
        rest = self.bound and max(0.0, self.bound - _divergence(spent, self.order))
        return events, renyi(events, float(self.order)) + rest


@dataclass
class Commitments:
    """All plans that stand, by (study, institution, protocol digest)."""

    plans: dict[tuple[str, str, str], Commitment] = field(default_factory=dict)

    def at(self, place: Place) -> Iterator[Commitment]:
        """The plans that stand on one dataset lineage."""
        return (c for c in self.plans.values() if (c.institution, c.lineage) == place)

    def demand(
        self, spent: histories.Histories, place: Place, without: str = ""
    ) -> tuple[PrivacyEvent, ...]:
        """Everything spent and committed on one dataset; of the study `without`, what it spent."""
        groups = {
            name: Counter(steps)
            for (name, *where), steps in spent.steps.items()
            if (*where,) == place
        }
        bounds: dict[str, tuple[float, str]] = {}
        for plan in self.at(place):
            if plan.study != without:
                groups[plan.study] = groups.get(plan.study, Counter()) | plan.steps
                bounds[plan.study] = max(bounds.get(plan.study, _FREE), (plan.bound, plan.order))
        rest = [_rest(groups[study], *bound) for study, bound in bounds.items() if bound[0]]
        return histories.events([*groups.values(), *rest])

    def with_plan(
        self,
        study: str,
        place: Place,
        plan: Iterable[PrivacyEvent],
        bound: float = 0.0,
        order: float = 0.0,
    ) -> Self:
        """These and one more plan, or the bound of one whose noise is chosen on the way."""
        new = Commitment(study, *place, "", "", repr(order), steps_of(plan), bound)
        return type(self)({**self.plans, new.name: new})

    def bounded(self, place: Place) -> bool:
        """Whether a study whose noise is chosen on the way has committed its budget there."""
        return any(plan.bound for plan in self.at(place))

    def users(self, spent: histories.Histories, place: Place) -> frozenset[str]:
        """The studies that spent anything of one dataset, or have a plan that stands on it."""
        return spent.studies(*place) | {plan.study for plan in self.at(place)}

    def unit(self, place: Place, besides: str) -> str:
        """The privacy unit of a plan of another study that stands on the dataset; '' for none."""
        return next((plan.unit for plan in self.at(place) if plan.study != besides), "")


def standing(
    institutions: Collection[str] | None = None, studies: Collection[str] | None = None
) -> Commitments:
    """Read the plans that stand at `institutions`, of `studies` (None: of all), in one query.

    Raises Unreadable where somebody destroyed the row of one.
    """
    found = _plans(dict(select(_STANDING, institution=institutions, study=studies)))
    return Commitments({plan.name: plan for plan in found})


def sealed(
    institutions: Collection[str] | None = None, studies: Collection[str] | None = None
) -> tuple[Commitments, dict[tuple[str, str], list[histories.Steps]]]:
    """The plans that stand, and every plan ever sealed by (study, institution), in one query.

    Raises Unreadable.
    """
    rows = select(_SEALED, institution=institutions, study=studies)
    read = _read_all({number: digest for number, digest, _ in rows})
    standing = Commitments()
    ever: dict[tuple[str, str], list[histories.Steps]] = {}
    for _, digest, stands in rows:
        plan = read[digest]
        ever.setdefault((plan.study, plan.institution), []).append(plan.steps)
        if stands:
            standing.plans[plan.name] = plan
    return standing, ever


def commitment(body: dict[str, Any]) -> Commitment:
    """The plan that a sealed row holds."""
    return Commitment(
        *(body[name] for name in ("study", "institution", "lineage", "protocol_digest", "unit")),
        order=body["filter_order"],
        steps=steps_of(written.event(event) for event in body["plan"]),
        bound=float(body.get("bound", 0.0)),
    )


def steps_of(events: Iterable[PrivacyEvent]) -> histories.Steps:
    """Events as merged steps."""
    counted: histories.Steps = Counter()
    for event in events:
        counted[histories.price_of(event)] += event.steps
    return counted


def _divergence(steps: histories.Steps, order: str) -> float:
    return renyi(histories.events([steps]), float(order))


def _rest(spent: histories.Steps, bound: float, order: str) -> histories.Steps:
    """What of a bound is not spent yet, as the one step that has exactly this divergence."""
    left = bound - _divergence(spent, order)
    if left <= _NOTHING:
        return Counter()
    return Counter({(repr(filling(left, float(order))), "1.0", 1): 1})


_FREE = (0.0, "")
_NOTHING = 1e-9  # nats
_known: dict[str, Commitment] = {}  # by the row's digest: sealed rows never change
_MOST = 4096


def _plans(rows: dict[int, str]) -> list[Commitment]:
    """The plans of rows given by number and digest."""
    return list(_read_all(rows).values())


def _read_all(rows: dict[int, str]) -> dict[str, Commitment]:
    """The plans of rows by their digest; a long plan is long to read, so once only."""
    found = {digest: _known.get(digest) for digest in rows.values()}
    fresh = [number for number, digest in rows.items() if found[digest] is None]
    bodies = Entry.objects.filter(pk__in=fresh) if fresh else Entry.objects.none()
    read = {row.digest: _read(row) for row in bodies}
    if len(_known) + len(read) > _MOST:
        _known.clear()
    _known.update(read)
    return {digest: plan for digest, plan in (found | read).items() if plan is not None}


def _read(row: Entry) -> Commitment:
    try:
        return commitment(json.loads(row.body))
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise Unreadable(row.sequence) from error
