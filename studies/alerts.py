"""Which kinds of event somebody must look at, and how urgently: a table, read by page and mail."""

from enum import StrEnum


class Severity(StrEnum):
    """`notice` wants an explanation; `alarm` wants a person now."""

    NOTICE = "notice"
    ALARM = "alarm"


_N, _A = Severity.NOTICE, Severity.ALARM
# A kind that is not here is only told on the timeline.
ALERTS: dict[str, Severity] = {
    "assignment_lost": _N,
    "assignment_refused": _N,
    "audit_failed": _A,
    "audit_missing": _N,
    "audit_refuted": _A,
    "budget_exhausted": _A,
    "budget_low": _N,
    "budget_raised": _N,
    "contribution_rejected": _N,
    "journal_mismatch": _A,
    "journal_silent": _N,
    "ledger_broken": _A,
    "quorum_overridden": _A,
    "round_cancelled": _N,
    "round_failed": _N,
    "site_key_revoked": _N,
    "study_exhausted": _A,
    "study_failed": _A,
    "witness_failed": _A,
}


def kinds(least: Severity = Severity.NOTICE) -> tuple[str, ...]:
    """The kinds that are at least this urgent."""
    urgent = (Severity.ALARM,) if least is Severity.ALARM else tuple(Severity)
    return tuple(kind for kind, severity in ALERTS.items() if severity in urgent)
