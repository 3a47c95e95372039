"""What the rules cannot follow, what cannot be trained, and a device that is not there."""


class Unfit(ValueError):
    """The module does something in its pass that the rules cannot follow; says what."""


class Untrainable(ValueError):
    """The settings of a protocol cannot train its model; says why."""


class DeviceAbsent(RuntimeError):
    """The device that is asked for is not there; says what to do."""
