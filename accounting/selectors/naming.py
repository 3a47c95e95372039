"""What slugs are called: institutions, studies and the datasets that institutions offer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from studies.models import Institution, Study


@dataclass(frozen=True)
class Names:
    """Slug → name; what is not known is called by its slug."""

    houses: Mapping[str, str] = field(default_factory=dict)
    studies: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[tuple[str, str], str] = field(default_factory=dict)  # by house and lineage

    def house(self, slug: str) -> str:
        """The institution's name."""
        return self.houses.get(slug, slug)

    def study(self, slug: str) -> str:
        """The study's title."""
        return self.studies.get(slug, slug)

    def dataset(self, institution: str, lineage: str) -> str:
        """How the institution calls the dataset that it offers under this lineage now."""
        return self.datasets.get((institution, lineage), lineage)


def load() -> Names:
    """The names as they are now, in two queries."""
    houses = list(Institution.objects.values_list("slug", "name", "offer"))
    return Names(
        {slug: name for slug, name, _ in houses},
        dict(Study.objects.values_list("slug", "name")),
        {
            (slug, row["lineage"]): row["name"]
            for slug, _, offer in houses
            for row in offer.get("datasets", ())
            if row.get("lineage") and row.get("name")
        },
    )


def of_report(document: Mapping[str, Any], *, known: Names | None = None) -> Names:
    """The names that stand in a report, which hold for it; beside them those `known` otherwise."""
    spent, other = document["parameters"], known or Names()
    return Names(
        {**other.houses, **{part["institution"]: part["name"] for part in spent["institutions"]}},
        {**other.studies, **{row["slug"]: row["name"] for row in spent["studies"]}},
        other.datasets,
    )
