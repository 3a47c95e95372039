"""The rows of who agreed to what, one model per file."""

from studies.models.append_only import AppendOnly, Written
from studies.models.approval import Approval
from studies.models.enrolment import EnrolmentToken
from studies.models.event import Event
from studies.models.institution import Institution
from studies.models.membership import Membership, Role
from studies.models.participation import Participation
from studies.models.person import Person
from studies.models.revision import Revision
from studies.models.study import Study

__all__ = [
    "AppendOnly",
    "Approval",
    "EnrolmentToken",
    "Event",
    "Institution",
    "Membership",
    "Participation",
    "Person",
    "Revision",
    "Role",
    "Study",
    "Written",
]
