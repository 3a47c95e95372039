"""What the ε report says about utility; accounting finds it by settings.REPORT_UTILITY."""

from typing import Any

from federation.selectors.models import utility as measured
from studies.models import Study


def utility(study: Study) -> dict[str, Any]:
    """The newest measured model; empty before there is one. Sites' figures are noised already."""
    rows = measured(study)
    if not rows:
        return {}
    last = rows[-1]
    found = {"on public rows": last.public, "on the sites' hold-out rows, noised": last.sites}
    return {
        "after round": last.number,
        "model": last.reported_digest,
        **{name: metrics for name, metrics in found.items() if metrics},
    }
