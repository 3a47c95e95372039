"""The rows of what has been spent, one model per file."""

from accounting.models.budget import DatasetBudget
from accounting.models.entry import Entry, EntryKind
from accounting.models.head import LedgerHead
from accounting.models.ledger_checkpoint import LedgerCheckpoint
from accounting.models.spent import SpentSteps

__all__ = ["DatasetBudget", "Entry", "EntryKind", "LedgerCheckpoint", "LedgerHead", "SpentSteps"]
