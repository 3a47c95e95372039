"""Whether the plan that was approved is one for the class of machine that this site says it is."""

from federation.protocol.document import Protocol
from federation.protocol.machines import class_at
from federation.protocol.messages import Reason
from federation.site.config import Machine
from federation.site.refused import Refused


def check_machine(machine: Machine, protocol: Protocol, institution: str) -> None:
    """Raise Refused where a study plans by class, and planned for another one here.

    A study that does not plan by class asks nothing of it.
    """
    if not protocol.training.classes:
        return
    approved = class_at(protocol, institution)
    if approved != machine.kind:
        raise Refused(
            Reason.NOT_APPROVED,
            f"site.toml now says machine.class {machine.kind or 'nothing'!r}, but a plan for "
            f"{approved or 'no class'!r} was approved: change it back; a study that is not "
            "running yet may be revised for the new one",
        )
