"""Why a study stops, in sentences for its lead: who did not answer, and what to do now."""

from accounting.services.ledger import BudgetExceeded
from federation.models import Assignment, AssignmentStatus, Round
from federation.protocol.document import Protocol
from federation.services import rounds


def below_quorum(round_: Round) -> str:
    """The reason of a failed attempt, naming every institution that did not contribute."""
    got = rounds.accepted(round_, round_.phase).count()
    missing = [_missing(row) for row in _unanswered(round_)]
    needed = "contribution" if round_.quorum == 1 else "contributions"
    advice = "Resume the study to ask everybody again in a new attempt, which is charged again"
    if got >= rounds.fewest(round_.study):
        advice += f"; or close the round on the {got} contributions it got, giving a reason"
    return (
        f"Round {round_.number} got {got} of the {round_.quorum} {needed} it needs: "
        f"{', '.join(missing)}. {advice}."
    )


def too_few(protocol: Protocol, active: list[str]) -> str:
    """The reason when no round can reach its quorum any more."""
    return (
        f"A round needs {protocol.quorum} institutions and {len(active)} take part "
        f"({', '.join(active) or 'nobody'}). Withdraw this study and write one for those who "
        "remain, or with a lower quorum."
    )


def stuck(fault: Exception) -> str:
    """The reason when the hub itself failed again and again; its text may hold anything."""
    return (
        f"The hub could not go on ({type(fault).__name__}). Nothing is lost: the operator finds "
        "the fault in the log of the hub's worker; resume the study once it is mended."
    )


def exhausted(number: int, error: BudgetExceeded) -> str:
    """The reason of an exhausted study: whose budget, and the study's own figure."""
    return f"Round {number} was not opened: {error.public}."


def _unanswered(round_: Round) -> list[Assignment]:
    rows = round_.assignments.filter(phase=round_.phase).exclude(contribution__accepted=True)
    return list(rows.select_related("institution").order_by("institution__name"))


def _missing(row: Assignment) -> str:
    """Every participant reads this, so why a house refused stands only in its own seat."""
    said = {
        AssignmentStatus.LOST: "took it and did not answer in time (charged)",
        AssignmentStatus.UNUSED: "never took it (not charged)",
        AssignmentStatus.REFUSED: "refused",
        AssignmentStatus.ANSWERED: "sent a contribution that was rejected",
    }
    return f"{row.institution} {said[AssignmentStatus(row.status)]}"
