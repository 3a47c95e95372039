"""Section 9 of the report: the empirical lower bound, from the coins that the ledger holds."""

from typing import Any

from accounting.reports.parts import Material

NOT_RUN = {
    "method": "not run",
    "meaning": "no empirical lower bound was measured in this scope",
    "runs": [],
}


def section(material: Material) -> dict[str, Any]:
    """The audit's method and each run's result; "not run" where no coins were committed."""
    return NOT_RUN
