"""What the rules cannot follow."""


class Unfit(ValueError):
    """The module does something in its pass that the rules cannot follow; says what."""
