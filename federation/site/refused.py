"""A reason to decline an assignment, on its way to the gate."""

from federation.protocol.messages import Reason


class Refused(Exception):
    """This assignment is declined. `reason` may leave; `local` is for this site's log only."""

    def __init__(self, reason: Reason, local: str) -> None:
        super().__init__(local)
        self.reason = reason
        self.local = local
