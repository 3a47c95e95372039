"""What the rules cannot follow, and a device that is not there."""


class Unfit(ValueError):
    """The module does something in its pass that the rules cannot follow; says what."""


class DeviceAbsent(RuntimeError):
    """The device that is asked for is not there; says what to do."""
