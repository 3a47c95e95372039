"""What counts as spent, merged by the database: one grouped sum over the ledger's rows."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from django.db.models import Sum

from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.models import Entry

Steps = Counter[tuple[str, str]]  # (noise_multiplier, sample_rate) as decimal strings → steps


@dataclass
class Histories:
    """Merged steps per (study, institution, lineage), everything reserved and not given back."""

    steps: dict[tuple[str, str, str], Steps] = field(default_factory=dict)

    def add(
        self, study: str, institution: str, lineage: str, event: PrivacyEvent, sign: int = 1
    ) -> None:
        """Count one more event, as if it had been read; sign −1 gives it back."""
        written = event.to_json()
        price = (str(written["noise_multiplier"]), str(written["sample_rate"]))
        self.steps.setdefault((study, institution, lineage), Counter())[price] += sign * event.steps

    def study(self, study: str, institution: str) -> tuple[PrivacyEvent, ...]:
        """The history of one study at one institution, whatever dataset it used."""
        return events(s for (st, i, _), s in self.steps.items() if (st, i) == (study, institution))

    def dataset(self, institution: str, lineage: str) -> tuple[PrivacyEvent, ...]:
        """The history of one dataset lineage, across studies."""
        return events(
            s for (_, i, ln), s in self.steps.items() if (i, ln) == (institution, lineage)
        )

    def studies(self, institution: str, lineage: str) -> frozenset[str]:
        """The studies that spent anything of one dataset lineage."""
        return frozenset(
            st
            for (st, i, ln), s in self.steps.items()
            if (i, ln) == (institution, lineage) and s.total()
        )


def load(institutions: Collection[str] | None = None, study: str | None = None) -> Histories:
    """Read the histories of `institutions` (all when None), or of one study."""
    rows = Entry.objects.exclude(steps=0).order_by()
    if institutions is not None:
        rows = rows.filter(institution__in=institutions)
    if study is not None:
        rows = rows.filter(study=study)
    found = Histories()
    for *place, noise, rate, total in rows.values_list(
        "study", "institution", "lineage", "noise_multiplier", "sample_rate"
    ).annotate(total=Sum("steps")):
        if total:
            found.steps.setdefault(tuple(place), Counter())[noise, rate] = total
    return found


def events(groups: Iterable[Steps]) -> tuple[PrivacyEvent, ...]:
    """The merged events of several groups together; descriptions are not kept."""
    total: Steps = Counter()
    for group in groups:
        total.update(group)
    return tuple(_event(price, steps) for price, steps in sorted(total.items()) if steps)


def _event(price: tuple[str, str], steps: int) -> PrivacyEvent:
    noise, rate = float(price[0]), float(price[1])
    kind = Mechanism.GAUSSIAN if rate == 1.0 else Mechanism.POISSON_GAUSSIAN
    return PrivacyEvent(kind, noise, rate, steps)
