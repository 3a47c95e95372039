"""What a finished study comes to: one table for people, one summary for machines, the files."""

from dataclasses import dataclass
from typing import Any

from accounting.dp.claims import Claim
from accounting.keys import Limit
from accounting.selectors import claims, shown, spending
from accounting.services import verification
from federation.models import Assignment, Checkpoint
from federation.protocol import plans
from federation.protocol.document import Protocol
from federation.selectors.audits import audits
from studies.models import Study
from studies.states import StudyStatus

# Of each kind of target: which metrics the table shows, and what heads their columns.
METRICS = {
    "class": {"accuracy": "accuracy", "auc": "AUC"},
    "number": {"mae": "mean error", "rmse": "RMSE"},
}


@dataclass(frozen=True)
class Outcome:
    """A study's end, measured from its rows."""

    study: Study
    protocol: Protocol
    seconds: float
    ledger_ok: bool
    ledger_problem: str
    refusal: str = ""  # why it could not start

    @property
    def reason(self) -> str:
        """Why it ended before its last round, or never began."""
        return self.study.status_reason or self.refusal

    @property
    def complete(self) -> bool:
        """Whether every planned round ran and the ledger verifies."""
        return self.study.status == StudyStatus.COMPLETED and self.ledger_ok


def measure(study: Study, seconds: float, refusal: str = "") -> Outcome:
    """Read the study's end from the database and verify the whole ledger."""
    verdict = verification.verify()
    protocol = Protocol.model_validate_json(study.document)
    return Outcome(study, protocol, seconds, verdict.ok, verdict.problem or "", refusal)


def summary(outcome: Outcome) -> dict[str, Any]:
    """The summary for machines; epsilons are full floats, `remaining` is budget minus loss.

    `epsilon_budget` is the largest where classes of machine differ; `epsilon_budgets` says each.
    """
    protocol, study = outcome.protocol, outcome.study
    delta, budgets = protocol.privacy.target_delta, _budgets(protocol)
    losses = _claims(outcome)
    accountants = {f"{c.claimed.accountant}: {c.claimed.version}" for c in losses.values()}
    last = study.checkpoints.last()
    metrics = _metrics(last)
    return {
        "study": study.slug,
        "status": study.status,
        "reason": outcome.reason,
        "accuracy": metrics.get("accuracy"),
        "auc": metrics.get("auc"),
        "metrics": last.metrics if last else {},
        "epsilon": {slug: found.claimed.epsilon for slug, found in losses.items()},
        "odometer": {s: c.spent.epsilon for s, c in losses.items() if c.is_odometer},
        "remaining": {slug: found.left(budgets[slug]) for slug, found in losses.items()},
        "epsilon_budget": max(budgets.values()),
        **({"epsilon_budgets": budgets} if protocol.training.classes else {}),
        "delta": delta,
        "unit": protocol.data.unit,
        "accountant": "; ".join(sorted(accountants)),
        "noise_multipliers": protocol.plan.noise_multipliers if protocol.plan else [],
        "rounds": last.number if last else 0,
        "seconds": round(outcome.seconds, 2),
        "audit": {
            row.institution.slug: {"state": row.state, "lower": row.bound and row.bound.lower}
            for row in audits(study)
        },
        "ledger_ok": outcome.ledger_ok,
        "ledger_problem": outcome.ledger_problem,
    }


def table(outcome: Outcome) -> str:
    """One line per round: contributors, utility, ε spent and left per site (worst site's)."""
    protocol = outcome.protocol
    delta, budgets = protocol.privacy.target_delta, _budgets(protocol)
    slugs, losses = list(budgets), _claims(outcome)
    curves = {
        slug: dict(spending.burn_down(outcome.study.slug, slug, delta, losses[slug].by))
        for slug in slugs
    }
    shown_metrics = METRICS[protocol.data.target.kind]
    heads = ["round", "sites", *shown_metrics.values(), *(f"ε {s}" for s in slugs), "ε left"]
    rows = [heads]
    for point in outcome.study.checkpoints.filter(number__gt=0):
        figures = [curves[slug].get(point.number) for slug in slugs]
        spent = [figure.epsilon if figure else 0.0 for figure in figures]
        left = (has - done for has, done in zip(budgets.values(), spent, strict=True))
        metrics = _metrics(point)
        rows.append(
            [
                str(point.number),
                f"{len(point.contributors)}/{len(slugs)}",
                *(_shown(metrics.get(name)) for name in shown_metrics),
                *(figure.shown() if figure else "–" for figure in figures),
                shown.down(min(left)),
            ]
        )
    kept = any(found.is_odometer for found in losses.values())
    notes = (*_withheld(outcome), _scope(protocol, budgets, kept=kept), *_audited(outcome))
    return "\n".join((_aligned(rows), *notes))


def _audited(outcome: Outcome) -> list[str]:
    """One line per institution: what its empirical audit showed, or why there is none."""
    lines = []
    for row in audits(outcome.study):
        line, bound = f"audit of {row.institution.slug}: {row.reason or row.state}", row.bound
        if bound:
            line += (
                f", ε ≥ {bound.lower} ({bound.correct} of {bound.guesses} guesses right), derived "
                f"{bound.figure.shown()} at δ = {bound.figure.delta:g}"
            )
        lines.append(line)
    return lines


def _withheld(outcome: Outcome) -> list[str]:
    """Why the last model shows no utility although histograms were asked for and paid."""
    last = outcome.study.checkpoints.last()
    metrics = last.metrics if last else {}
    why = metrics.get("sites", {}).get("withheld")
    if metrics.get("public") or not why:
        return []
    names = METRICS[outcome.protocol.data.target.kind]
    return [f"{' and '.join(names.values())} withheld: {why}"]


def _claims(outcome: Outcome) -> dict[str, Claim]:
    """What may be claimed of the study at each institution."""
    slug, delta = outcome.study.slug, outcome.protocol.privacy.target_delta
    books = claims.of(slug)
    return {
        house: books.study(slug, house, Limit(budget, delta))
        for house, budget in _budgets(outcome.protocol).items()
    }


def _budgets(protocol: Protocol) -> dict[str, float]:
    """The ε at which the study ends at each institution; they differ by class of machine only."""
    slugs = [member.institution for member in protocol.cohort]
    return {slug: plans.epsilon_budget(protocol, slug) for slug in slugs}


def _scope(protocol: Protocol, budgets: dict[str, float], *, kept: bool) -> str:
    plan = protocol.plan
    accountant = f"{plan.accountant} ({plan.version})" if plan else "no accountant"
    if kept:
        accountant = f"rdp, the study's filter, which allows that budget; so far {shown.ODOMETER}"
    each = [f"{budget:g} ({slug})" for slug, budget in budgets.items()]
    said = ", ".join(each) if len(set(budgets.values())) > 1 else f"{min(budgets.values()):g}"
    return (
        f"ε per site, composed over all rounds, of {said} at δ = "
        f"{protocol.privacy.target_delta:g}; accountant {accountant}; unit: one "
        f"{protocol.data.unit}; scope: this study at that site; rounded up, what is left down."
    )


def _metrics(point: Checkpoint | None) -> dict[str, Any]:
    """Utility on the public rows where there are some, else from the sites' noised histograms."""
    metrics = point.metrics if point else {}
    return metrics.get("public") or metrics.get("sites") or {}


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join((lines[0], "─" * len(lines[0]), *lines[1:]))


def silences(outcome: Outcome) -> list[str]:
    """One line per institution and reason for which it did not contribute, with the rounds."""
    rows = Assignment.objects.filter(round__study=outcome.study).exclude(
        contribution__accepted=True
    )
    rounds: dict[tuple[str, str, str], list[str]] = {}
    for row in rows.select_related("institution", "round").order_by("round", "institution__name"):
        key = (row.institution.name, row.status, row.reason)
        rounds.setdefault(key, []).append(str(row.round.number))
    return [
        f"{name}: {status}{f' ({reason})' if reason else ''} in round {', '.join(numbers)}"
        for (name, status, reason), numbers in rounds.items()
    ]
