"""The rows of who agreed to what, one model per file."""

from studies.models.append_only import AppendOnly, Written
from studies.models.approval import Approval
from studies.models.delivery import Delivery, DeliveryStatus
from studies.models.enrolment import EnrolmentToken
from studies.models.event import Event
from studies.models.explanation import Explanation
from studies.models.institution import Institution
from studies.models.membership import Membership, Role
from studies.models.participation import Participation
from studies.models.person import Person
from studies.models.revision import Revision
from studies.models.study import Study
from studies.models.subscription import Channel, Subscription

__all__ = [
    "AppendOnly",
    "Approval",
    "Channel",
    "Delivery",
    "DeliveryStatus",
    "EnrolmentToken",
    "Event",
    "Explanation",
    "Institution",
    "Membership",
    "Participation",
    "Person",
    "Revision",
    "Role",
    "Study",
    "Subscription",
    "Written",
]
