"""Reports against the entries: digest, signatures, every mechanism, every release, every ε."""

from __future__ import annotations

from typing import Any

from accounting.verifier.parts.claimed import Claims
from accounting.verifier.parts.entries import Entries
from accounting.verifier.parts.figures import Event, check_shown, event, history
from accounting.verifier.parts.findings import Verdict
from accounting.verifier.parts.lives import LIVING, place_of
from accounting.verifier.parts.losses import TooLarge
from accounting.verifier.parts.reading import (
    MALFORMED,
    Unknown,
    Unreadable,
    Wrong,
    canonical,
    decimal,
    parse,
    pick,
)
from accounting.verifier.parts.replay import Replay
from accounting.verifier.parts.scopes import Scope
from accounting.verifier.parts.sections import check_audits, check_incidents
from accounting.verifier.parts.trees import check_signature, sha256

OLDER = ("cloister-privacy-report/1", "cloister-privacy-report/2")  # claimed one ε for all
REPORT_SCHEMAS = (*OLDER, "cloister-privacy-report/3")
CONTEXTS = ("cloister-report-v1\n", "cloister-report-signature-v1\n")
TOLD = ("reserved", "released", "booked")
SAME = ("at", "institution", "lineage", "round", "attempt", "phase", "sealed")


def check_reports(
    bundled: Any, given: Any, entries: Entries, replay: Replay, key: str, verdict: Verdict
) -> None:
    """The report in the bundle and the one from a file, where there are any."""
    if bundled is None and given is None:
        verdict.skip("report", "there is none in the bundle, and none was given with --report")
        return
    said = []
    try:
        if bundled is not None:
            said.append(_check_bundled(bundled, entries, replay, key))
        if given is not None:
            said.append(_check_given(given, entries, replay, key))
    except Wrong as wrong:
        verdict.wrong("report", str(wrong))
    except MALFORMED as error:
        verdict.wrong("report", f"it is malformed: {error!r:.200}")
    except TooLarge as error:
        verdict.unsure("report", f"a figure cannot be derived again: {error}")
    verdict.good("report", "; ".join(said))


def _check_given(given: Any, entries: Entries, replay: Replay, key: str) -> str:
    """A report as downloaded, or one with its signatures as in a bundle."""
    if isinstance(given, dict) and "signatures" in given:
        return _check_bundled(given, entries, replay, key)
    digest = sha256(canonical(given).encode()).hex()
    return f"{Report(given, entries, replay).check()}; SHA-256 {digest}, without signatures"


def _check_bundled(bundled: Any, entries: Entries, replay: Replay, key: str) -> str:
    text = pick(bundled, "text", str)
    digest = sha256(text.encode("utf-8", "replace")).hex()
    if pick(bundled, "sha256", str) != digest:
        raise Wrong(f"its SHA-256 is {digest}, not the one that stands beside it")
    try:
        document = parse(text)
    except Unreadable as error:
        raise Wrong(f"it cannot be read: {error}") from error
    if canonical(document) != text:
        raise Wrong("it is not in canonical form")
    people = [_signer(row, digest, key) for row in pick(bundled, "signatures", list)]
    names = ", ".join(name for name in people if name) or "no person"
    return f"{Report(document, entries, replay).check()}; signed by {names}"


def _signer(row: Any, digest: str, key: str) -> str:
    """Who signed, in words; empty for the hub itself. Raises Wrong."""
    context, text = pick(row, "context", str), pick(row, "text", str)
    if context not in CONTEXTS:
        raise Unknown(f"a signature for {context[:80]!r}")
    if pick(row, "key", str) != key:
        raise Wrong("a signature under it is by another key than the hub's")
    check_signature(key, (context + text).encode(), pick(row, "signature", str))
    if context == CONTEXTS[0]:
        if text != digest:
            raise Wrong("the hub's signature is under another report")
        return ""
    words = parse(text)
    if pick(words, "report_sha256", str) != digest:
        raise Wrong("a person's signature is under another report")
    return f"{pick(words, 'name', str)} ({pick(words, 'meaning', str)}, {pick(words, 'at', str)})"


class Report:
    """One report beside the entries that it is about."""

    def __init__(self, document: Any, entries: Entries, replay: Replay) -> None:
        identity = pick(document, "report", dict)
        if identity.get("schema") not in REPORT_SCHEMAS:
            raise Unknown(f"the report schema {str(identity.get('schema'))[:80]!r}")
        self.document, self.entries, self.replay = document, entries, replay
        head = pick(pick(document, "integrity", dict), "ledger_head", dict)
        self.head = pick(head, "entry", int)
        if self.head and entries.digests.get(self.head) != head.get("sha256"):
            raise Wrong(f"its ledger head, entry {self.head}, is not that of this bundle")
        self.older = identity["schema"] in OLDER
        self.about = Scope(document, entries, self.head)
        self.claims = Claims(document, entries, replay.figures, self.about)
        self.states = self._states()
        self.found: list[tuple[dict[str, Any], Event]] = []

    def check(self) -> str:
        """What holds, in words. Raises Wrong, TooLarge."""
        for row in pick(self.document, "mechanisms", list):
            self._check_mechanism(row)
        self._check_complete()
        released = pick(pick(self.document, "releases", dict), "released", list)
        for row in released:
            body = self._body(row, "released", "booked", "lost")
            late = body["kind"] == "lost" and str(row.get("outcome")).startswith("it came too late")
            if not late and row.get("sha256") != body.get("tensors_digest"):
                raise Wrong(f"entry {body['sequence']} released something else than it says")
        parts = pick(pick(self.document, "parameters", dict), "institutions", list)
        self._check_parts(parts)
        for part in parts:
            self._check_part(part)
        if self.older:
            self._check_statement()
        else:
            self.claims.across()
            check_audits(pick(self.document, "audit", dict), self.about)
            check_incidents(pick(self.document, "incidents", list), self.about)
        return (
            f"{len(self.found)} mechanisms, {len(released)} releases and the ε of {len(parts)} "
            f"parts agree with the entries up to {self.head}"
        )

    def _states(self) -> dict[Any, str]:
        """The newest kind of row of each place, when the report was made."""
        states = {}
        for number, body in sorted(self.entries.bodies.items()):
            if number <= self.head and body.get("kind") in LIVING:
                states[place_of(body)] = body["kind"]
        return states

    def _body(self, row: Any, *kinds: str) -> dict[str, Any]:
        number = pick(row, "entry", int)
        body = self.entries.bodies.get(number)
        if body is None or body.get("kind") not in kinds or number > self.head:
            raise Wrong(f"it names entry {number} as {kinds[0]}, and this bundle has no such entry")
        return body

    def _check_mechanism(self, row: Any) -> None:
        body = self._body(row, "reserved", "booked")
        number, figure = body["sequence"], pick(body, "figure", dict)
        expected = {name: body[name] for name in SAME}
        expected.update(pick(body, "event", dict))
        expected.update({name: figure.get(name) for name in ("delta", "accountant")})
        expected["epsilon_after"] = figure.get("epsilon")
        state = "booked" if body["kind"] == "booked" else self.states[place_of(body)]
        expected.update(state=state, counted=state != "aborted")
        for name, value in expected.items():
            if row.get(name) != value:
                raise Wrong(f"of entry {number} it says {name} = {row.get(name)!r}, not {value!r}")
        if row["counted"]:
            self.found.append((body, event(body["event"])))

    def _check_complete(self) -> None:
        """Nothing of its scope may be missing: no mechanism, and nothing that left."""
        told = {
            "mechanisms": {row["entry"] for row in self.document["mechanisms"]},
            "releases": {row["entry"] for row in self.document["releases"]["released"]},
        }
        for body in self.about.rows:
            spends = body["kind"] == "reserved" or "event" in body
            section = "mechanisms" if spends else "releases"
            if body["kind"] in TOLD and body["sequence"] not in told[section]:
                raise Wrong(f"it leaves out entry {body['sequence']}, which it is about")

    def _check_parts(self, parts: list[Any]) -> None:
        """Each place that something was spent at is one part. Raises Wrong."""
        keys = [self._key(part) for part in parts]
        if len(set(keys)) < len(keys):
            raise Wrong("it tells of one part twice")
        missing = {self._key(body) for body, _ in self.found} - set(keys)
        if missing:
            raise Wrong(f"it has no part for {' '.join(min(missing))}, which spent something")

    def _key(self, row: Any) -> tuple[str, ...]:
        """What a part is about: an institution in a study, a dataset across studies."""
        where = (pick(row, "institution", str), str(row.get("lineage", "")))
        return where[:1] if self.about.study else where

    def _check_part(self, part: Any) -> None:
        where = pick(part, "institution", str)
        told = [(body, found) for body, found in self.found if self._key(body) == self._key(part)]
        spent = history(found for _, found in told)
        for name in ("second_opinion", "spent"):
            if part.get(name) is None and part.get("odometer"):
                continue
            figure = pick(part, name, dict)
            try:
                derived = self.replay.figures.check(figure, spent)
            except Wrong as wrong:
                raise Wrong(f"of {where} ({name}) {wrong}") from wrong
            check_shown(figure, where)
        if not self.older:
            self.claims.part(part, told)
        certified = part.get("certified")
        if isinstance(certified, dict):
            low, high = decimal(certified, "low"), decimal(certified, "high")
            if low > derived.high or high < derived.low:
                raise Wrong(f"of {where} it certifies [{low:g}, {high:g}], but ε lies elsewhere")

    def _check_statement(self) -> None:
        """The sentence for people quotes the worst part, rounded up."""
        parts = self.document["parameters"]["institutions"]
        worst = max((decimal(part["spent"], "epsilon") for part in parts), default=0.0)
        for row in pick(self.document, "statement", list):
            figure = row.get("figure")
            if figure and decimal(figure, "epsilon") < worst:
                raise Wrong(f"its statement says ε = {figure['epsilon']}, a part spent {worst}")
            if figure and pick(figure, "shown", str) not in pick(row, "sentence", str):
                raise Wrong("its statement does not quote its own figure")
