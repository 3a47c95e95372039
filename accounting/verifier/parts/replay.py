"""The ledger played again from nothing: every row against the rows before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable, NamedTuple

from accounting.verifier.parts.audits import Audits
from accounting.verifier.parts.budgets import Budgets
from accounting.verifier.parts.choices import Choices
from accounting.verifier.parts.figures import Figures
from accounting.verifier.parts.findings import Verdict
from accounting.verifier.parts.lives import LIVING, Lives, key_of
from accounting.verifier.parts.losses import TooLarge
from accounting.verifier.parts.reading import MALFORMED, Unknown, Wrong, hexadecimal, pick

VERSION = 1
TYPES = {
    "sequence": int,
    "at": str,
    "kind": str,
    "idempotency_key": str,
    "study": str,
    "institution": str,
    "lineage": str,
    "round": int,
    "attempt": int,
    "phase": str,
}


class Loss(NamedTuple):
    """What the newest reservation says that a study spent at one institution."""

    entry: int
    epsilon: str
    delta: str
    accountant: str


class Replay:
    """Judges rows one by one; each kind of question goes on after another one failed."""

    def __init__(self, verdict: Verdict, *, complete: bool) -> None:
        self.verdict, self.complete = verdict, complete
        self.lives, self.figures, self.audits = Lives(), Figures(), Audits()
        self.budgets, self.choices = Budgets(self.lives.spent), Choices()
        self.losses: dict[tuple[str, str], Loss] = {}
        self.attestations: dict[str, bool] = {}
        self._keys: dict[str, int] = {}
        self._number = 0
        self._kinds: dict[str, Callable[[dict[str, Any]], None]] = {
            "declared": self._declared,
            "raised": self._raised,
            "sealed": self._sealed,
            "returned": self._returned,
            "attested": self._attested,
            "committed": self._committed,
            "revealed": self._revealed,
            "proposed": self._proposed,
            "booked": self._booked,
        }

    def step(self, number: int, body: dict[str, Any]) -> None:
        """Take the row `number`. Raises Unknown where it is of a newer kind."""
        self._number = number
        if body.get("version") != VERSION:
            raise Unknown(f"version {body.get('version')!r} of entry {number}")
        with self._asking("canonical"):
            for name, kind in TYPES.items():
                pick(body, name, kind)
        if self.verdict.states("canonical") & {"wrong"}:
            return
        if body["kind"] not in self._kinds and body["kind"] not in LIVING:
            raise Unknown(f"the kind {body['kind']!r} of entry {number}")
        with self._asking("idempotency"):
            self._check_key(body)
        self._kinds.get(body["kind"], self._lived)(body)

    def _check_key(self, body: dict[str, Any]) -> None:
        key = body["idempotency_key"]
        before = self._keys.setdefault(key, self._number)
        if before != self._number:
            raise Wrong(f"its key {key} stands at entry {before} already")
        expected = self._expected_key(body)
        if expected and key != expected:
            raise Wrong(f"its key is {key}, it should be {expected}")

    def _expected_key(self, body: dict[str, Any]) -> str:
        """Empty where a part of the ledger cannot tell, or the key has no form of its own."""
        kind = body["kind"]
        if kind in LIVING:
            return key_of(body)
        if kind == "proposed":
            digest = pick(body, "protocol_digest", str)
            return f"{body['study']}//proposed/{body['round']}.{body['attempt']}/{digest}"
        if kind == "booked":
            return f"{key_of(body)}/{hexadecimal(pick(body, 'journal', dict), 'digest')}"
        if kind in ("declared", "raised"):
            return self.budgets.key_of(body) if self.complete else ""
        if kind not in ("sealed", "returned", "attested", "committed", "revealed"):
            return ""
        digest = pick(body, "protocol_digest", str)
        key = f"{body['study']}/{body['institution']}/{kind}/{digest}"
        if kind != "attested":
            return key
        number = sum(each.split("/attested/")[0] == f"{body['study']}/" for each in self._keys)
        return "" if number > 1 or not self.complete else key

    def _declared(self, body: dict[str, Any]) -> None:
        with self._asking("budgets"):
            self.budgets.declared(body)

    def _raised(self, body: dict[str, Any]) -> None:
        with self._asking("budgets"):
            self.budgets.raised(body)

    def _sealed(self, body: dict[str, Any]) -> None:
        with self._asking("choices"):
            self.choices.sealed(body)
        with self._asking("budgets"):
            plan, question = self.budgets.seal(body)
            with self._asking("epsilon"):
                self.figures.check(pick(body, "figure", dict), plan.figure_of)
            if self.complete:
                self.budgets.check_sealing(body, plan)
                with self._asking("epsilon"):
                    self.figures.check(*question)

    def _returned(self, body: dict[str, Any]) -> None:
        with self._asking("budgets"):
            self.figures.check_divergence(body, *self.budgets.give_back(body))

    def _attested(self, body: dict[str, Any]) -> None:
        """Somebody answers for it that no patient is at two institutions, or takes that back."""
        with self._asking("attested"):
            study = f"{body['study']}/{pick(body, 'protocol_digest', str)}"
            withdrawn = bool(body.get("withdrawn", False))
            if not (body["study"] and pick(body, "text", str) and pick(body, "by", str)):
                raise Wrong("an attestation names its study, its words and who answers for it")
            if self.complete and withdrawn is not self.attestations.get(study, False):
                raise Wrong("it attests what is attested, or withdraws what is not")
            self.attestations[study] = not withdrawn

    def _committed(self, body: dict[str, Any]) -> None:
        place = (body["study"], body["institution"])
        with self._asking("audits"):
            self.audits.commit(body, began=any(life[:2] == place for life in self.lives.begun()))

    def _revealed(self, body: dict[str, Any]) -> None:
        with self._asking("audits"):
            if body["institution"]:
                self._beside([body["institution"]], self.audits.reveal(body), body["study"])
            elif found := self.audits.together(body, complete=self.complete):
                self._beside(*found, body["study"])

    def _beside(self, houses: list[str], figure: dict[str, Any], study: str) -> None:
        """The largest ε of these institutions stands beside what their coins show."""
        spent = [self.lives.spent.study(study, house) for house in houses]
        with self._asking("epsilon"):
            self.figures.check_largest(figure, spent)

    def _proposed(self, body: dict[str, Any]) -> None:
        place = (body["study"], body["round"], body["attempt"])
        began = any((life[0], life[2], life[3]) == place for life in self.lives.begun())
        with self._asking("choices"):
            self.choices.propose(body, began=began)

    def _lived(self, body: dict[str, Any]) -> None:
        with self._asking("transitions"):
            self.lives.step(body)
        for name in ("tensors_digest", "model_digest"):
            with self._asking("canonical"):
                if name in body:
                    hexadecimal(body, name)
        if body["kind"] == "reserved":
            self._reserved(body)

    def _booked(self, body: dict[str, Any]) -> None:
        """What only a site's signed journal proves: it counts, whatever any budget says."""
        with self._asking("charges"):
            hexadecimal(body, "evidence")
            self.lives.book(body)
        with self._asking("epsilon"):
            self._compare(body, self.lives.spent.study(body["study"], body["institution"]))
        with self._asking("budgets"):
            if "event" in body:
                self.lives.keep_unit(body)
                self.budgets.check_sealed(body)

    def _reserved(self, body: dict[str, Any]) -> None:
        with self._asking("choices"):
            self.choices.reserve(body)
        with self._asking("epsilon"):
            self._compare(body, self.lives.spent.study(body["study"], body["institution"]))
        with self._asking("budgets"):
            self.lives.keep_unit(body)
            for question in self.budgets.questions(body, complete=self.complete):
                with self._asking("epsilon"):
                    self.figures.check(*question)

    def _compare(self, body: dict[str, Any], study: dict[Any, int]) -> None:
        figure = pick(body, "figure", dict)
        self.figures.check(figure, study)
        self.losses[body["study"], body["institution"]] = Loss(
            self._number, figure["epsilon"], figure["delta"], figure["accountant"]
        )

    @contextmanager
    def _asking(self, check: str) -> Iterator[None]:
        """One question about the present row: a wrong answer is a finding, not the end."""
        try:
            yield
        except Wrong as wrong:
            self.verdict.wrong(check, str(wrong), self._number)
        except MALFORMED as error:
            self.verdict.wrong(check, f"it is malformed: {error!r:.200}", self._number)
        except TooLarge as error:
            self.verdict.unsure(check, f"cannot be derived again: {error}", self._number)

    def finish(self) -> None:
        """Say what held."""
        counts = self.lives.counts
        lives = ", ".join(f"{n} {kind}" for kind, n in counts.items()) or "none"
        self.verdict.good("transitions", f"every life is one that may be: {lives}")
        self.verdict.good("idempotency", f"{len(self._keys)} keys, each once and of its form")
        self._finish_charges(counts)
        if self.attestations:
            self.verdict.good("attested", "each names who answers for it, and stands once")
        if self.audits.bound:
            count = len(self.audits.bound)
            self.verdict.good("audits", f"{count} bound before training; what was shown is that")
        if self.choices.noise:
            count = len(self.choices.noise)
            self.verdict.good("choices", f"{count} made before their rounds, and kept to")
        if self.complete:
            sealed, lent = self.budgets.sealed, len(self.budgets.lifetime)
            passed = (
                "passed by nothing but what was booked" if self.lives.booked else "never passed"
            )
            self.verdict.good(
                "budgets", f"{lent} lifetime budgets and {sealed} sealed plans, {passed}"
            )
        elif not self.verdict.states("budgets"):
            self.verdict.skip(
                "budgets", "lifetime budgets need the complete bundle; studies' own limits hold"
            )
        self.verdict.good(
            "epsilon", f"{self.figures.checked} figures derived again from the events"
        )

    def _finish_charges(self, counts: dict[str, int]) -> None:
        charged, released = counts.get("charged", 0), counts.get("released", 0)
        if self.verdict.states("transitions") & {"wrong"} or released > charged:
            self.verdict.wrong(
                "charges", f"{released} releases, {charged} charges: see transitions"
            )
        else:
            booked = len(self.lives.booked)
            more = f"; {booked} rows booked from sites' journals" if booked else ""
            self.verdict.good(
                "charges", f"{charged} charges, {released} releases, none before its{more}"
            )
