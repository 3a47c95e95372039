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

    def __init__(self, institution: str, lineage: str):
        super().__init__(
            f"{institution} lends no dataset {lineage!r}: its site worker must send an offer "
            "with a lifetime budget before anything can be spent"
        )


class NoBound(LedgerRefusal):
    """A charge of the dataset stands that the ledger cannot count, so its ε has no bound."""

    def __init__(self, institution: str, lineage: str, why: str):
        self.institution, self.lineage = institution, lineage
        super().__init__(
            f"the loss of dataset {lineage} at {institution} has no bound, so nothing more is "
            f"spent of it in any study: {why}; lend other people's data under another lineage"
        )

    @property
    def public(self) -> str:
        """Without what another study charged."""
        return (
            f"the loss of dataset {self.lineage} at {self.institution} has no bound, as its site's "
            "signed journal charged what the ledger cannot count, so nothing more is spent of it "
            "in any study; its own people and their officers read why under Journals; leave the "
            "institution out, or ask it for data of other people under another lineage"
        )


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
    """The event would not fit a budget; `scope` is 'study' or 'dataset', the unit whose ε it is."""

    def __init__(
        self, scope: str, institution: str, name: str, figure: Figure, limit: Limit, unit: str
    ):
        self.scope, self.institution, self.name = scope, institution, name
        self.figure, self.limit, self.unit = figure, limit, unit
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        whose = "the study" if self.scope == "study" else "the lifetime of dataset"
        return (
            f"the next event would bring {whose} {self.name} at {self.institution} to "
            f"{self._figure()}; stop here, or agree on a protocol that spends less"
        )

    def _figure(self) -> str:
        terms = f"{self.figure.accountant}, δ = {self.figure.delta:g}, per {self.unit}"
        shown = f"ε = {self.figure.shown()} ({terms})"
        return f"{shown}, above its budget of ε = {self.limit.epsilon:g}"

    @property
    def public(self) -> str:
        """Without a dataset's lifetime figures: they tell what its house did in other studies."""
        if self.scope == "study":
            return str(self)
        return (
            f"the lifetime budget of dataset {self.name} at {self.institution} does not hold the "
            "next event; its own people and their officers read the figures in the ledger"
        )


class PlanExceeds(BudgetExceeded):
    """A whole plan would not fit its dataset beside what is spent and what others committed."""

    def _sentence(self) -> str:
        return (
            f"the study's whole plan would bring the lifetime of dataset {self.name} at "
            f"{self.institution}, with what is spent and what other studies have committed, to "
            f"{self._figure()}; raise the budget, let another study end first, or plan for less"
        )

    @property
    def public(self) -> str:
        """Without the figures, and what a lead may do about it."""
        return (
            f"the lifetime budget of dataset {self.name} at {self.institution} does not hold the "
            "whole plan beside what is spent and committed there; plan for a smaller ε, leave the "
            "institution out, or ask its site admin whether another study ends soon or the budget "
            "can be raised"
        )
