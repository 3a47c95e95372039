"""The rows of how a round is run, one model per file."""

from federation.models.assignment import CANCELLED, Assignment, AssignmentStatus
from federation.models.checkpoint import Checkpoint
from federation.models.contribution import Contribution
from federation.models.round import Round, RoundStatus

__all__ = [
    "CANCELLED",
    "Assignment",
    "AssignmentStatus",
    "Checkpoint",
    "Contribution",
    "Round",
    "RoundStatus",
]
