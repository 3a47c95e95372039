"""The long ledger that benchmarks.ledger measures; imported once Django is set up."""

import time
from typing import Any

from django.db import connection, transaction
from django.db.models import Sum
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant

from accounting.dp.accountants import epsilon
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.models import Entry, EntryKind, LedgerHead
from accounting.selectors import histories
from accounting.services import budgets, ledger
from accounting.services.checkpoints import issue
from accounting.services.ledger import Key, Limit, Move, Reservation
from accounting.services.verification import verify
from studies.models import Institution

__all__ = ["build", "histories", "issue", "ledger", "size"]
LIMIT = Limit(100.0, 1e-5)
PROTOCOL = "a" * 64
_noises: list[float] = []


def build(sites: int, rounds: int, spare: int, schedule: str) -> None:
    """Sites lend and seal rounds and `spare` more, and take part in every round: four rows each."""
    planned = rounds + spare
    _noises[:] = [
        1.0 if schedule == "uniform" else 3.0 - 2.0 * n / planned for n in range(1, planned + 1)
    ]
    names = [f"house-{number}" for number in range(sites)]
    with transaction.atomic():
        for name in names:
            _lend_and_seal(name)
    for number in range(1, rounds + 1):
        _round(names, number)


def size() -> int:
    """How many rows there are."""
    return LedgerHead.objects.get().size


def request(site: str, number: int, attempt: int = 1) -> Reservation:
    """One site's reservation; after the last round, of the last round's noise."""
    noise = _noises[min(number, len(_noises)) - 1]
    event = PrivacyEvent(Mechanism.POISSON_GAUSSIAN, noise, 0.01, 10, 1.0, 30.0, unit="patient")
    return Reservation(
        Key("study", site, "heart", number, attempt, "train"), event, PROTOCOL, LIMIT
    )


def summed_rows(site: str | None = None) -> list[Any]:
    """What an append read before there were running sums: the rows, grouped by the database."""
    rows = Entry.objects.exclude(steps=0).order_by()
    if site is not None:
        rows = rows.filter(institution__in=[site])
    names = ("study", "institution", "lineage", "noise_multiplier", "sample_rate")
    return list(rows.values_list(*names).annotate(total=Sum("steps")))


def bare_commit() -> None:
    """The floor: one small row, made durable."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS floor (n INTEGER)")
        cursor.execute("INSERT INTO floor VALUES (1)")


def page_figure(site: str, delta: float) -> float:
    """Query and figure, as a page asks."""
    spent = histories.load([site], "study")
    return epsilon(spent.study("study", site), delta).epsilon


def figure(site: str, delta: float) -> tuple[float, float]:
    """ε of one site one step later, which nobody asked before, and its seconds."""
    spent = histories.load([site], "study").study("study", site)
    more = PrivacyEvent(spent[0].mechanism, spent[0].noise_multiplier, spent[0].sample_rate, 1)
    started = time.perf_counter()
    epsilon((*spent, more), delta)
    return page_figure(site, delta), time.perf_counter() - started


def peer_figure(site: str, delta: float) -> tuple[float, float]:
    """The same history by dp_accounting at its default interval of 1e-4."""
    spent = histories.load([site], "study").study("study", site)
    started = time.perf_counter()
    accountant = PLDAccountant(value_discretization_interval=1e-4)
    for event in spent:
        step = dp_event.PoissonSampledDpEvent(
            event.sample_rate, dp_event.GaussianDpEvent(event.noise_multiplier)
        )
        accountant.compose(dp_event.SelfComposedDpEvent(step, event.steps))
    return accountant.get_epsilon(delta), time.perf_counter() - started


def verified() -> None:
    """Verify the whole ledger; it must hold."""
    verdict = verify()
    assert verdict.ok, verdict.sentence()


def give_back(key: Key) -> None:
    """As when the site's own signed word says that nothing was read."""
    ledger.record([Move(key, EntryKind.ABORTED, {"reason": "benchmark", "evidence": "e" * 64})])


def _lend_and_seal(name: str) -> None:
    house, _ = Institution.objects.get_or_create(slug=name, defaults={"name": name})
    budgets.declare(house, [{"lineage": "heart", "epsilon": "200.0", "delta": "0.00001"}])
    ledger.seal(
        study="study",
        institution=name,
        lineage="heart",
        plan_events=[request(name, n).event for n in range(1, len(_noises) + 1)],
        protocol_digest=PROTOCOL,
        unit="patient",
        study_limit=LIMIT,
    )


def _round(names: list[str], number: int) -> None:
    requests = [request(name, number) for name in names]
    ledger.reserve_all(requests)
    for kind, facts in (
        ("charged", {"journal": {"sequence": number, "digest": "b" * 64}}),
        ("released", {"tensors_digest": "c" * 64}),
        ("acknowledged", {"model_digest": "d" * 64}),
    ):
        ledger.record([Move(r.key, kind, facts) for r in requests])
