"""Replaying the ledger's rows: what each may follow, what each may spend, which ε each must say."""

from collections.abc import Callable
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from accounting import transitions
from accounting.dp.accountants import UnknownAccountant, epsilon
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure
from accounting.keys import Key
from accounting.models import EntryKind
from accounting.selectors import judging, written
from accounting.selectors.commitments import Commitments
from accounting.selectors.histories import Histories
from accounting.services import priced, replay_budgets
from accounting.services.replay_adaptive import Choices
from accounting.services.replay_audit import Audits
from accounting.services.wrong import Wrong, check_scope, limit_of, same_figure

__all__ = ["Replay", "Wrong"]

_FIELDS = ("study", "institution", "lineage", "round", "attempt", "phase")


@dataclass(frozen=True, slots=True)
class Reserved:
    """What giving a reservation back is compared with."""

    event: PrivacyEvent
    lineage: str


@dataclass
class Replay:
    """The state of everything after the rows seen so far."""

    spent: Histories = field(default_factory=Histories)
    states: dict[tuple[str, str, int, int, str], str] = field(default_factory=dict)
    reserved: dict[tuple[str, str, int, int, str], Reserved] = field(default_factory=dict)
    booked: set[tuple[str, str, int, int, str]] = field(default_factory=set)  # places
    budgets: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    orders: dict[tuple[str, str], str] = field(default_factory=dict)
    units: dict[tuple[str, str], str] = field(default_factory=dict)
    standing: Commitments = field(default_factory=Commitments)
    attested: set[tuple[str, str]] = field(default_factory=set)  # study, protocol digest
    audits: Audits = field(default_factory=Audits)
    choices: Choices = field(default_factory=Choices)

    def step(self, body: dict[str, Any]) -> None:
        """Take one row's body. Raises Wrong where it does not follow from the rows before it."""
        try:
            _STEPS.get(body["kind"], Replay._keyed)(self, body)
        except (KeyError, TypeError, ValueError, ArithmeticError, UnknownAccountant) as error:
            raise Wrong(f"its body cannot be read: {type(error).__name__} {error}") from error

    def bound(self, place: tuple[str, str]) -> bool:
        """Whether anything is spent of a dataset or committed on it: fixes its filter's order."""
        return bool(self.standing.users(self.spent, place))

    def check_lifetime(self, place: tuple[str, str], check: dict[str, str]) -> None:
        """Whether a check was made against the lifetime budget then in force. Raises Wrong."""
        budget = self.budgets.get(place)
        if budget is None:
            raise Wrong(f"no lifetime budget was declared for {place[1]} before it")
        checked = (float(check["limit"]), float(check["delta"]))
        if checked != (float(budget[0]), float(budget[1])):
            raise Wrong(f"it was checked against {checked}, but the lifetime budget was {budget}")

    def _committed(self, body: dict[str, Any]) -> None:
        place = (body["study"], body["institution"])
        self.audits.commit(
            body, began=any(key[:2] == place for key in (*self.reserved, *self.booked))
        )

    def _revealed(self, body: dict[str, Any]) -> None:
        houses = [body["institution"]]
        if body["institution"]:
            stated = self.audits.reveal(body)
        else:
            houses, stated = self.audits.together(body)
        histories = (self.spent.study(body["study"], house) for house in houses)
        figures = [epsilon(history, float(stated["delta"])) for history in histories]
        same_figure(stated, max(figures, key=lambda figure: figure.epsilon))

    def _proposed(self, body: dict[str, Any]) -> None:
        place = (body["study"], body["round"], body["attempt"])
        begun = (*self.states, *self.booked)
        rounds = ((study, number, attempt) for study, _, number, attempt, _ in begun)
        self.choices.propose(body, began=place in rounds)

    def _booked(self, body: dict[str, Any]) -> None:
        """What only a site's journal proves: it spends, whatever any budget says."""
        key, study = _key(body), (body["study"], body["institution"])
        expected = f"{key.idempotency(body['kind'])}/{body['journal']['digest']}"
        if body["idempotency_key"] != expected or len(body["evidence"]) != 64:
            raise Wrong("it does not name the row of the site's journal, or who signed that")
        self.booked.add(key.place)
        if "event" in body:
            event = written.event(body["event"])
            self._keep_unit(key, event)
            self.spent.add(*study, key.lineage, event)
        history = self.spent.merged_study(*study).key()
        same_figure(body["figure"], priced.figure(history, float(body["figure"]["delta"])))
        if "event" in body:
            self._check_sealed(body, history)

    def _check_sealed(self, body: dict[str, Any], history: priced.Items) -> bool:
        """Whether a study's history is within its plan, as the row says. Raises Wrong."""
        name = (body["study"], body["institution"], body["protocol_digest"])
        own = self.standing.plans.get(name)
        sealed = judging.within(history, own.steps if own else judging.NO_PLAN)
        if body["sealed"] is not sealed:
            raise Wrong(f"it says sealed: {body['sealed']}, but the sealed plan says {sealed}")
        return sealed

    def _keyed(self, body: dict[str, Any]) -> None:
        key = _key(body)
        if body["idempotency_key"] != key.idempotency(body["kind"]):
            raise Wrong(f"its idempotency key is not {key.idempotency(body['kind'])}")
        if body["kind"] not in transitions.KEYED:
            raise Wrong(f"{body['kind']!r} is no kind of entry")
        try:
            state, evidence = self.states.get(key.place, ""), body.get("evidence", "")
            transitions.check(state, body["kind"], str(key), evidence)
        except transitions.IllegalTransition as error:
            raise Wrong(str(error)) from error
        self.states[key.place] = body["kind"]
        if body["kind"] == EntryKind.RESERVED:
            self._spend(key, body)
        elif body["kind"] == EntryKind.ABORTED:
            self._give_back(key, body)

    def _spend(self, key: Key, body: dict[str, Any]) -> None:
        event = written.event(body["event"])
        self.reserved[key.place] = Reserved(event, key.lineage)
        self.choices.reserve(body, event)
        self._keep_unit(key, event)
        self.spent.add(key.study, key.institution, key.lineage, event)
        history = self.spent.merged_study(key.study, key.institution).key()
        same_figure(body["figure"], priced.figure(history, float(body["figure"]["delta"])))
        sealed = self._check_sealed(body, history)
        alone = self.spent.alone(key.study, key.institution, key.lineage)
        study, dataset = body["checks"]
        if study["delta"] != body["figure"]["delta"]:
            raise Wrong("its figure and the check of the study's budget use different δ")
        limit = limit_of(study)
        order = None if sealed else judging.filter_order(limit)
        check_scope(study, "study", priced.judged(history, limit, order).figure)
        place = (key.institution, key.lineage)
        self.check_lifetime(place, dataset)
        order = None if sealed and alone else float(self.orders[place])
        check_scope(dataset, "dataset", self._judged(place, key.study, sealed, dataset, order))

    def _judged(
        self,
        place: tuple[str, str],
        study: str,
        sealed: bool,
        check: dict[str, str],
        order: float | None,
    ) -> Figure:
        """What the gate must have said of the dataset: see `Gate.admit`."""
        if sealed:
            spent = self.spent.merged_dataset(*place).key()
            return priced.judged(spent, limit_of(check), order).figure
        demand = self.standing.demand(self.spent, place, without=study)
        return judging.judge(demand, limit_of(check), order).figure

    def _keep_unit(self, key: Key, event: PrivacyEvent) -> None:
        place = (key.institution, key.lineage)
        before = self.units.get(place, event.unit)
        if before != event.unit and self.spent.touched(*place):
            raise Wrong(f"it composes a cost per {event.unit} with costs per {before}")
        self.units[place] = event.unit

    def _give_back(self, key: Key, body: dict[str, Any]) -> None:
        event = written.event(body["event"])
        if Reserved(event, key.lineage) != self.reserved[key.place]:
            raise Wrong("it gives back another event than was reserved")
        self.spent.add(key.study, key.institution, key.lineage, event, sign=-1)


_STEPS: dict[str, Callable[[Replay, dict[str, Any]], None]] = {
    **replay_budgets.STEPS,
    EntryKind.COMMITTED: Replay._committed,
    EntryKind.REVEALED: Replay._revealed,
    EntryKind.PROPOSED: Replay._proposed,
    EntryKind.BOOKED: Replay._booked,
}


def _key(body: dict[str, Any]) -> Key:
    """The row's key; its texts are shared between rows, or a long ledger would fill the memory."""
    study, institution, lineage, number, attempt, phase = (body[name] for name in _FIELDS)
    return Key(intern(study), intern(institution), intern(lineage), number, attempt, intern(phase))
