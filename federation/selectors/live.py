"""A study's rounds as people watch them: each attempt, each site, its phase and its progress."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from federation import phases
from federation.models import CANCELLED, Assignment, AssignmentStatus, Round, RoundStatus
from federation.selectors.pace import Pace, pace
from studies.models import Study
from studies.selectors.protocols import protocol_of
from studies.states import ALIVE


@dataclass(frozen=True)
class SiteCell:
    """One institution in one phase of one attempt.

    `state`: open, taken, answered, rejected, refused, lost, stopped or unused. `step` of `steps` is
    public: the protocol sets `steps`.
    """

    institution: str  # slug
    name: str
    phase: str
    state: str
    step: int
    steps: int
    reason: str
    taken_at: datetime | None
    answered_at: datetime | None
    machine: str = ""  # its class, where the study plans by class
    pace: Pace | None = None  # of a site that computes, once it was heard of twice

    @property
    def percent(self) -> int:
        """How far it is, 0 to 100."""
        return 100 if self.state == "answered" else 100 * self.step // max(1, self.steps)


@dataclass(frozen=True)
class RoundRow:
    """One attempt at one round; `seconds` until it closed, None while it is open."""

    number: int
    attempt: int
    status: str
    reason: str
    phase: str
    phases: tuple[str, ...]
    quorum: int
    opened_at: datetime
    closed_at: datetime | None
    phase_deadline: datetime
    sites: tuple[SiteCell, ...]
    anew: str = ""  # why the corrections of the sites' steps began anew; '': they did not

    @property
    def seconds(self) -> float | None:
        """Wall-clock seconds from opening to closing."""
        return self.closed_at and (self.closed_at - self.opened_at).total_seconds()

    @property
    def trains(self) -> bool:
        """Whether it is an attempt at a model; one after an early end only reveals coins."""
        return self.decisive in self.phases

    @property
    def contributors(self) -> tuple[str, ...]:
        """Slugs of the institutions whose answer to the decisive phase was accepted."""
        wanted = (self.decisive, "answered")
        return tuple(c.institution for c in self.sites if (c.phase, c.state) == wanted)

    @property
    def decisive(self) -> str:
        """The phase that makes the round's model."""
        return phases.TRAIN.name


def timeline(study: Study, last: int | None = None) -> list[RoundRow]:
    """Every attempt, oldest first; `last` keeps only that many of the newest. Three queries."""
    rounds = study.rounds.order_by("-number", "-attempt")
    chosen = list(rounds[:last] if last else rounds)[::-1]
    machines = {member.institution: member.machine for member in protocol_of(study).cohort}
    cells: dict[int, list[SiteCell]] = {round_.pk: [] for round_ in chosen}
    rows = Assignment.objects.filter(round__in=cells).select_related("institution", "contribution")
    for row in rows.defer("message", "contribution__message").order_by("institution__name", "id"):
        cells[row.round_id].append(_cell(row, machines.get(row.institution.slug) or ""))
    told = study.events.filter(kind="control_anew").values_list("payload", flat=True)
    anew = {(said["round"], said["attempt"]): said["reason"] for said in told}
    return [_row(study, round_, cells[round_.pk], anew) for round_ in chosen]


def current(study: Study) -> RoundRow | None:
    """The newest attempt, None before the first."""
    newest = timeline(study, last=1)
    return newest[0] if newest else None


def holding_up(study: Study) -> list[SiteCell]:
    """Who the open round waits for: sites that have not answered its current phase."""
    newest = current(study)
    if newest is None or newest.status != RoundStatus.OPEN:
        return []
    waiting = (AssignmentStatus.OPEN, AssignmentStatus.TAKEN)
    return [c for c in newest.sites if c.phase == newest.phase and c.state in waiting]


def can_close_below_quorum(study: Study) -> RoundRow | None:
    """The failed attempt that `rounds.close_with` may be offered for, None when there is none."""
    newest = current(study)
    if newest is None or newest.status != RoundStatus.FAILED or study.status != "paused":
        return None
    fewest = min(2, len(protocol_of(study).cohort))
    return newest if len(newest.contributors) >= fewest else None


def cancellable(study: Study) -> RoundRow | None:
    """The open attempt that `cancelling.cancel` may be offered for, None when there is none."""
    newest = current(study)
    if newest is None or study.status not in ALIVE or newest.phase == phases.REVEAL.name:
        return None
    return newest if holding_up(study) else None


def _row(
    study: Study, round_: Round, cells: Iterable[SiteCell], anew: dict[tuple[int, int], str]
) -> RoundRow:
    names = tuple(p.name for p in phases.phases_of(protocol_of(study), round_.number))
    if cells and phases.TRAIN.name not in {cell.phase for cell in cells}:
        names = names if round_.phase == phases.COMMIT.name else (round_.phase,)
    return RoundRow(
        number=round_.number,
        attempt=round_.attempt,
        status=round_.status,
        reason=round_.reason,
        phase=round_.phase,
        phases=names,
        quorum=round_.quorum,
        opened_at=round_.opened_at,
        closed_at=round_.closed_at,
        phase_deadline=round_.phase_deadline,
        sites=tuple(cells),
        anew=anew.get((round_.number, round_.attempt), ""),
    )


def _cell(row: Assignment, machine: str) -> SiteCell:
    return SiteCell(
        institution=row.institution.slug,
        name=row.institution.name,
        phase=row.phase,
        state=_state(row),
        step=row.step,
        steps=row.steps,
        reason=row.reason,
        taken_at=row.taken_at,
        answered_at=row.answered_at,
        machine=machine,
        pace=pace(row, timezone.now()),
    )


def _state(row: Assignment) -> str:
    """The status, told apart where one word would blame the wrong side."""
    if row.status == AssignmentStatus.ANSWERED and not row.contribution.accepted:
        return "rejected"
    stopped = row.status == AssignmentStatus.LOST and row.reason == CANCELLED
    return "stopped" if stopped else row.status
