"""Why the ledger says no: one class per reason, each telling what to do."""

from accounting.dp.figures import Figure
from accounting.keys import Limit


class LedgerRefusal(Exception):
    """The ledger would not write the row; nothing was written."""

    @property
    def public(self) -> str:
        """The reason in words that everybody who sees the study may read."""
        return str(self)


class NotLent(LedgerRefusal):
    """No lifetime budget is declared for this dataset, so nothing may be spent on it."""


class MixedUnits(LedgerRefusal):
    """A dataset is charged for one privacy unit; another cannot be composed with it."""

    def __init__(self, institution: str, lineage: str, before: str, wanted: str):
        super().__init__(
            f"dataset {lineage} at {institution} was charged per {before} before, and this study "
            f"is charged per {wanted}: what is known about the one says nothing about the other, "
            f"so they are never composed; write the study with the unit {before!r}"
        )


class Conflict(LedgerRefusal):
    """The key is already used for something else: another event, dataset, protocol or digest."""


class BudgetExceeded(LedgerRefusal):
    """The event would not fit a budget; `scope` is 'study' or 'dataset'."""

    def __init__(self, scope: str, institution: str, name: str, figure: Figure, limit: Limit):
        self.scope, self.institution, self.name = scope, institution, name
        self.figure, self.limit = figure, limit
        whose = "the study" if scope == "study" else "the lifetime of dataset"
        super().__init__(
            f"the next event would bring {whose} {name} at {institution} to "
            f"ε = {figure.shown()} ({figure.accountant}, δ = {figure.delta:g}), above its budget "
            f"of ε = {limit.epsilon:g}; stop here, or agree on a protocol that spends less"
        )

    @property
    def public(self) -> str:
        """Without a dataset's lifetime figures: they tell what its house did in other studies."""
        if self.scope == "study":
            return str(self)
        return (
            f"the lifetime budget of dataset {self.name} at {self.institution} does not hold the "
            "next event; its own people and their officers read the figures in the ledger"
        )
