"""What was checked and what came of it, in the order in which an auditor reads it."""

from __future__ import annotations

from typing import Any, NamedTuple

GOOD, WRONG, WARNING, SKIPPED, UNSURE = "ok", "wrong", "warning", "skipped", "unsure"
MARKS = {GOOD: "✓", WRONG: "✗", WARNING: "!", SKIPPED: "–", UNSURE: "?"}
TITLES = {
    "key": "the hub's key",
    "canonical": "canonical form",
    "digests": "digests and chain",
    "sequence": "sequence",
    "tree": "Merkle tree",
    "checkpoints": "signed checkpoints",
    "consistency": "consistency",
    "witnesses": "witnesses",
    "transitions": "transitions",
    "idempotency": "idempotency keys",
    "charges": "charges before releases",
    "budgets": "budgets",
    "attested": "attestations",
    "audits": "empirical audits",
    "choices": "chosen noise",
    "epsilon": "every ε",
    "report": "report",
}


class Finding(NamedTuple):
    """One sentence; `entry` is the sequence number that it is about, where there is one."""

    check: str
    state: str
    sentence: str
    entry: int | None = None


class Verdict:
    """Collects findings. Of each check the first wrong entry is kept, and how many follow."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._more: dict[str, int] = {}

    def wrong(self, check: str, why: str, entry: int | None = None) -> None:
        """The bundle claims something that is not so."""
        self._once(Finding(check, WRONG, why, entry))

    def unsure(self, check: str, why: str, entry: int | None = None) -> None:
        """Something that this program cannot decide either way."""
        self._once(Finding(check, UNSURE, why, entry))

    def warn(self, check: str, why: str) -> None:
        """True as far as it goes, but the auditor must know this."""
        self.findings.append(Finding(check, WARNING, why))

    def skip(self, check: str, why: str) -> None:
        """Not checked, and why."""
        self.findings.append(Finding(check, SKIPPED, why))

    def good(self, check: str, what: str) -> None:
        """Everything of this check holds, unless something else was found before."""
        if not {WRONG, UNSURE, SKIPPED} & self.states(check):
            self.findings.append(Finding(check, GOOD, what))

    def states(self, check: str) -> set[str]:
        """The states of the findings of one check."""
        return {found.state for found in self.findings if found.check == check}

    def _once(self, finding: Finding) -> None:
        if finding.state in self.states(finding.check):
            self._more[finding.check] = self._more.get(finding.check, 0) + 1
        else:
            self.findings.append(finding)

    @property
    def code(self) -> int:
        """The exit status: 0 everything holds, 1 something is wrong, 2 something is undecided."""
        states = {found.state for found in self.findings}
        return 1 if WRONG in states else 2 if UNSURE in states else 0

    def lines(self) -> list[str]:
        """One line for each finding, by check."""
        order = list(TITLES)
        found = sorted(self.findings, key=lambda finding: order.index(finding.check))
        return [self._line(finding) for finding in found]

    def _line(self, finding: Finding) -> str:
        more = self._more.get(finding.check, 0) if finding.state in (WRONG, UNSURE) else 0
        where = f"entry {finding.entry}: " if finding.entry else ""
        rest = f" (and {more} more)" if more else ""
        title = TITLES[finding.check]
        return f"{MARKS[finding.state]} {title:<24} {where}{finding.sentence}{rest}"

    def to_json(self) -> dict[str, Any]:
        """The verdict for machines."""
        return {
            "schema": "cloister-verdict/1",
            "ok": self.code == 0,
            "code": self.code,
            "findings": [finding._asdict() for finding in self.findings],
        }
