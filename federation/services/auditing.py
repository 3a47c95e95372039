"""An empirical audit's free phases at the hub: what may come, and what the ledger then says.

Nothing here imports torch: services/measuring computes what the revealed coins show.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounting.dp.audit import Measured
from accounting.dp.figures import Figure
from accounting.selectors import shown
from accounting.services import auditing as ledger
from federation import phases
from federation.models import Assignment, Contribution, Round
from federation.protocol import messages
from federation.protocol.audit import Coins, FalseCoins, coins_of, commitment_of
from federation.protocol.document import Protocol
from federation.protocol.tensors import TensorError, Tensors, unpack
from federation.services import blobs, rounds
from federation.services.checks import Unfit
from federation.services.facts import keys_of
from studies.models import Institution, Study
from studies.selectors.protocols import protocol_of
from studies.services import events


@dataclass(frozen=True)
class Finding:
    """One institution's audit: the coins and what they show, beside the ledger's ε at that δ."""

    institution: Institution
    place: ledger.Place
    coins: Coins
    measured: Measured
    figure: Figure

    @property
    def refutes(self) -> bool:
        """Whether the lower bound is above the ε that the ledger derives."""
        return self.measured.lower > self.figure.epsilon

    @property
    def result(self) -> dict[str, Any]:
        """What the ledger, the event and the report say of it."""
        return ledger.result_json(self.measured, self.figure)


@dataclass(frozen=True)
class Together:
    """What the coins of all findings show as one, beside the largest ε of them."""

    study: Study
    findings: tuple[Finding, ...]
    measured: Measured
    figure: Figure

    @property
    def refutes(self) -> bool:
        """Whether the lower bound is above every institution's ε."""
        return self.measured.lower > self.figure.epsilon

    @property
    def result(self) -> dict[str, Any]:
        """What the ledger and the event say of it."""
        return ledger.result_json(self.measured, self.figure)


@dataclass(frozen=True)
class Missing:
    """An institution that is not audited, and why."""

    institution: Institution
    reason: str


def check(row: Assignment, protocol: Protocol, message: messages.Contribution) -> None:
    """Raise Unfit unless this is a timely commitment, or exactly the coins committed to."""
    tensors = _tensors(protocol, row.phase, message.tensors_digest)
    place = place_of(row)
    before = ledger.commitment(place)
    if row.phase == phases.REVEAL.name:
        _check_reveal(tensors, before)
    elif before is None and ledger.began(place.study, place.institution):
        raise Unfit("the commitment came after training was reserved, so it binds nothing")
    elif before not in (None, commitment_of(tensors)):
        raise Unfit("the site committed to other coins before, and those stand")


def commit(row: Assignment, tensors_digest: str, now: datetime) -> None:
    """Write a checked commitment into the ledger, in the caller's transaction."""
    tensors = _tensors(protocol_of(row.round.study), row.phase, tensors_digest)
    ledger.commit(place_of(row), commitment_of(tensors), now=now)


def place_of(row: Assignment) -> ledger.Place:
    """Where in the ledger the audit of this assignment's institution stands."""
    key = keys_of([row])[row.id]
    return ledger.Place(key.study, key.institution, key.lineage, row.round.protocol_digest)


def conclude(
    study: Study,
    findings: Sequence[Finding],
    missing: Sequence[Missing],
    now: datetime,
    together: Together | None = None,
) -> str:
    """Write what the audit shows into the ledger and tell it; in the caller's transaction.

    Returns why the study may not go on, where an institution's lower bound is above the ε that
    the ledger derives, else ''.
    """
    for finding in findings:
        coins = finding.coins
        ledger.reveal(
            finding.place, coins=coins.flips, salt=coins.salt.hex(), result=finding.result, now=now
        )
        _tell(study, finding)
    for absent in missing:
        tell_missing(study, absent)
    unit = protocol_of(study).data.unit
    refuted = [_refutation(f"At {f.institution}", f, unit) for f in findings if f.refutes]
    if together is not None:
        refuted += _told_together(study, together, now)
    return " ".join(refuted)


def _told_together(study: Study, together: Together, now: datetime) -> list[str]:
    """Write it and tell it; the refutation, if it is one."""
    result, shown_down = together.result, shown.down(together.measured.lower)
    ledger.reveal_together(
        study.slug,
        study.protocol_digest,
        institutions=[finding.institution.slug for finding in together.findings],
        result=result,
        now=now,
    )
    unit = protocol_of(study).data.unit
    told = f"{shown_down} ({_terms(together, unit)})"
    events.record("audit_pooled", study=study, **result, shown=told)
    if not together.refutes:
        return []
    reason = _refutation("At all institutions together", together, unit)
    events.record("audit_refuted", study=study, **result, shown=told, reason=reason)
    return [reason]


def tell_missing(study: Study, absent: Missing) -> None:
    """Keep why an institution is not audited."""
    events.record(
        "audit_missing", study=study, institution=absent.institution, reason=absent.reason
    )


def _tell(study: Study, finding: Finding) -> None:
    unit = protocol_of(study).data.unit
    lower = shown.down(finding.measured.lower)
    payload = finding.result | {"shown": f"{lower} ({_terms(finding, unit)})"}
    kinds = ("audit_measured", "audit_failed") if finding.refutes else ("audit_measured",)
    for kind in kinds:
        reason = (
            {"reason": _refutation(f"At {finding.institution}", finding, unit)}
            if kind == "audit_failed"
            else {}
        )
        events.record(kind, study=study, institution=finding.institution, **payload, **reason)


def _terms(finding: Finding | Together, unit: str) -> str:
    return f"δ = {finding.figure.delta:g}, one-run audit, per {unit}, this study there"


def _refutation(where: str, finding: Finding | Together, unit: str) -> str:
    figure, measured = finding.figure, finding.measured
    return (
        f"{where} the audit shows ε ≥ {shown.down(measured.lower)} at δ = "
        f"{figure.delta:g} ({measured.correct} right of {measured.guesses} guesses), and the "
        f"ledger derives ε = {figure.shown()} ({figure.accountant.upper()} accountant, per {unit}, "
        f"this study at that institution): noise, clipping or sampling is not what was "
        "promised. Do not use the model; have the site's software examined."
    )


def reveals(round_: Round) -> list[Contribution]:
    """The accepted reveals of the round, by institution."""
    rows = rounds.accepted(round_, phases.REVEAL.name)
    return list(rows.select_related("assignment__round__study"))


def _check_reveal(tensors: Tensors, bound: str | None) -> None:
    if bound is None:
        raise Unfit("the site committed to no coins before training, so there is nothing to reveal")
    try:
        coins_of(tensors).check(bound)
    except FalseCoins as error:
        raise Unfit(str(error)) from error


def _tensors(protocol: Protocol, phase: str, digest: str) -> Tensors:
    try:
        return unpack(blobs.read(digest), phases.phase(phase).answer(protocol, {}))
    except TensorError as error:
        raise Unfit(str(error)) from error
