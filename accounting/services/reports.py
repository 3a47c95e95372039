"""Issuing reports and signing them: kept for good, each superseding the one before it.

A person asks (`ask`), a worker of the hub computes (`advance`, `issue`): the second opinion
needs torch, which no web process has. Rows carry the truth; a lost message costs time only.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounting.canonical import canonical_json
from accounting.dp.events import PrivacyEvent, merged
from accounting.models import IssuedReport, Meaning, ReportRequest, ReportSignature, RequestStatus
from accounting.reports import figures, integrity, seals
from accounting.reports.build import compose, gather, sealed
from accounting.reports.scopes import Scope
from accounting.services import checkpoints
from accounting.services.hub_key import hub_key
from studies.models import Institution, Person, Study
from studies.services import engine, events
from studies.services.errors import Refused

TASK = "accounting.issue_report"
SILENT = timedelta(seconds=90)  # a request that nobody touched for so long is taken up again
OPEN = (RequestStatus.WAITING, RequestStatus.COMPUTING)
_TRIES = 3
History = tuple[tuple[PrivacyEvent, ...], float]


class NotSigned(Refused):
    """The signature was not made; the sentence says why."""


def ask(scope: Scope, by: Person) -> ReportRequest:
    """Ask for a report of `scope`; one that is asked for already is joined, not doubled."""
    known = ReportRequest.objects.filter(scope=scope.text, status__in=OPEN).first()
    if known is not None:
        return known
    row = ReportRequest.objects.create(scope=scope.text, by=by, touched_at=timezone.now())
    transaction.on_commit(partial(send, row.pk))
    return row


def send(request_id: int) -> None:
    """Tell a worker of the hub; a broker that is away is no error, see `unattended`."""
    engine.send(TASK, request_id)


def unattended(now: datetime | None = None) -> list[int]:
    """The requests that no worker touched for a while: their message or their worker was lost."""
    before = (now or timezone.now()) - SILENT
    rows = ReportRequest.objects.filter(status__in=OPEN, touched_at__lt=before)
    return list(rows.values_list("pk", flat=True))


def advance(request_id: int) -> bool:
    """Take one step of a request: one second opinion, or the report itself. True: call again.

    Small steps let other work of the same worker pass between them. Coming twice is harmless.
    """
    row = ReportRequest.objects.select_related("by").get(pk=request_id)
    if row.status not in OPEN:
        return False
    scope = scope_of(row.scope)
    histories = _histories(scope)
    if row.done < len(histories):
        figures.certified(*histories[row.done])
        _progress(row, row.done + 1, len(histories))
        return True
    _finish(row, issue(scope, row.by))
    return False


def failed(request_id: int, reason: str) -> None:
    """Say that a request came to nothing, and why."""
    rows = ReportRequest.objects.filter(pk=request_id, status__in=OPEN)
    rows.update(status=RequestStatus.FAILED, reason=reason, touched_at=timezone.now())


def issue(scope: Scope, by: Person | None = None, *, second_opinion: bool = True) -> IssuedReport:
    """Compute, sign and keep the report of `scope`; `by` None is the hub's own schedule.

    Imports torch for the second opinion: call it in a worker of the hub.

    Raises:
        NoSuchStudy: the scope names a study that the hub does not know.
        LedgerRewritten: the ledger is not the one that was signed before; nothing is issued.
    """
    material = gather(scope, certify=second_opinion)
    found = compose(material, checkpoints.issue())
    for _ in range(_TRIES - 1):
        try:
            return _keep(scope, by, found)
        except IntegrityError:  # another worker issued the same number
            continue
    return _keep(scope, by, found)


def sign(report: IssuedReport, *, by: Person, meaning: str, password: str) -> ReportSignature:
    """Put a person's signature under a report.

    Raises:
        NotSigned: wrong password, no such meaning, signed already, or superseded meanwhile.
    """
    _check_signing(report, by, meaning, password)
    now = timezone.now()
    text = canonical_json(
        {
            "report_sha256": report.sha256,
            "by": by.get_username(),
            "name": by.get_full_name(),
            "meaning": meaning,
            "says": Meaning(meaning).label,
            "at": _stamp(now),
        }
    )
    seal = seals.over_signature(hub_key(), text)
    with transaction.atomic():
        row = ReportSignature.objects.create(
            report=report,
            by=by,
            meaning=meaning,
            text=text,
            key=seal.key,
            signature=seal.signature,
            at=now,
        )
        _tell("report_signed", scope_of(report.scope), by, report, meaning=meaning)
    return row


def scope_of(text: str) -> Scope:
    """The scope whose canonical text this is."""
    return Scope.parse(text)


def _check_signing(report: IssuedReport, by: Person, meaning: str, password: str) -> None:
    if meaning not in Meaning.values:
        raise NotSigned(f"a signature means one of: {', '.join(Meaning.values)}")
    if IssuedReport.objects.filter(supersedes=report).exists():
        raise NotSigned("this report was superseded; read and sign the newer one")
    if report.signatures.filter(by=by, meaning=meaning).exists():
        raise NotSigned("you have signed this report with this meaning already")
    if not by.check_password(password):
        raise NotSigned("the password is not right; a signature needs it anew")


def _histories(scope: Scope) -> Sequence[History]:
    """Every history that needs a second opinion, each once, in one order."""
    found = {(merged(part.events), part.delta): None for part in gather(scope).parts}
    return list(found)


def _progress(row: ReportRequest, done: int, total: int) -> None:
    ReportRequest.objects.filter(pk=row.pk, status__in=OPEN).update(
        status=RequestStatus.COMPUTING, done=done, total=total, touched_at=timezone.now()
    )


def _finish(row: ReportRequest, report: IssuedReport) -> None:
    ReportRequest.objects.filter(pk=row.pk).update(
        status=RequestStatus.ISSUED, report=report, touched_at=timezone.now()
    )


@transaction.atomic
def _keep(scope: Scope, by: Person | None, found: dict[str, Any]) -> IssuedReport:
    last = IssuedReport.objects.filter(scope=scope.text).order_by("-number").first()
    now, number = timezone.now(), last.number + 1 if last else 1
    told = found["report"] | {
        "id": f"{scope.text or 'everything'}/{number}",
        "issued": {"at": _stamp(now), "by": _name(by), "number": number},
        "supersedes": _superseded(last),
    }
    report = sealed(found | {"report": told, "integrity": _integrity(found["integrity"], last)})
    seal = seals.over_report(hub_key(), report.digest)
    row = IssuedReport.objects.create(
        scope=scope.text,
        number=number,
        text=report.text,
        sha256=report.digest,
        supersedes=last,
        by=by,
        at=now,
        key=seal.key,
        signature=seal.signature,
    )
    _tell("report_issued", scope, by, row)
    return row


def _integrity(bound: dict[str, Any], last: IssuedReport | None) -> dict[str, Any]:
    """With the proof that the ledger of the report before is the beginning of this one's."""
    if last is None:
        return bound
    before = json.loads(last.text)["integrity"]["checkpoint"]
    return bound | {"consistency": integrity.grown(before, bound["checkpoint"])}


def _superseded(last: IssuedReport | None) -> dict[str, Any] | str:
    if last is None:
        return "nothing: the first report of this scope"
    return {"number": last.number, "sha256": last.sha256, "at": _stamp(last.at)}


def _tell(kind: str, scope: Scope, by: Person | None, row: IssuedReport, **more: str) -> None:
    events.record(
        kind,
        study=Study.objects.filter(slug=scope.study).first(),
        institution=Institution.objects.filter(slug=scope.institution).first(),
        by=by,
        number=row.number,
        sha256=row.sha256,
        **more,
    )


def _name(by: Person | None) -> str:
    return by.get_username() if by else "the hub, on its schedule"


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
