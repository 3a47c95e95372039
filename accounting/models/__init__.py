"""The rows of what has been spent, one model per file."""

from accounting.models.budget import DatasetBudget
from accounting.models.entry import Entry, EntryKind
from accounting.models.head import LedgerHead
from accounting.models.issued_report import IssuedReport, ReportRequest, RequestStatus
from accounting.models.ledger_checkpoint import LedgerCheckpoint
from accounting.models.raise_request import RaiseRequest, RaiseStatus
from accounting.models.report_schedule import ReportSchedule, Rhythm
from accounting.models.report_signature import Meaning, ReportSignature
from accounting.models.site_difference import DifferenceNote, Differs, SiteDifference
from accounting.models.site_entry import SiteEntry
from accounting.models.site_statement import SiteStatement
from accounting.models.spent import SpentSteps

__all__ = ["DatasetBudget", "Entry", "EntryKind", "IssuedReport", "LedgerCheckpoint", "LedgerHead"]
__all__ += ["Meaning", "RaiseRequest", "RaiseStatus", "ReportRequest", "ReportSignature"]
__all__ += ["ReportSchedule", "RequestStatus", "Rhythm", "SpentSteps"]
__all__ += ["DifferenceNote", "Differs", "SiteDifference", "SiteEntry", "SiteStatement"]
