"""Whether this machine is what the site says: of the class that was approved, with its device."""

from federation.learning.faults import DeviceAbsent
from federation.protocol.document import Protocol
from federation.protocol.machines import class_at
from federation.protocol.messages import Reason
from federation.site.config import Machine
from federation.site.entry_points import DEVICE, load
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


def check_device(machine: Machine) -> None:
    """Raise Refused where site.toml asks for a GPU that is not there: before anything is charged.

    What is to be taken only where it is there can never be missing.
    """
    if machine.device != "cuda":
        return
    try:
        load(DEVICE)(machine.device)
    except DeviceAbsent as error:
        raise Refused(Reason.LOCAL_FAILURE, str(error)) from error
