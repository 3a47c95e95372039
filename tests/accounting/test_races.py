"""Studies racing for one dataset's budget from many processes: never over it, and none lost."""

from collections import Counter

import pytest
from django.db import connection

from accounting.dp.accountants import epsilon
from accounting.dp.filters import fits_adaptively
from accounting.models import DatasetBudget, Entry
from accounting.selectors import commitments, histories
from accounting.services.verification import verify
from tests.accounting import builders as b
from tests.accounting.race_jobs import WIDE
from tests.accounting.racing import Worker, race

pytestmark = pytest.mark.django_db(transaction=True)
LIMIT = 2.0
REFUSALS = {"BudgetExceeded", "PlanExceeds"}


@pytest.fixture
def workers() -> int:
    """16 processes; SQLite writes one at a time whatever comes, so 6 show the same."""
    return 16 if connection.vendor == "postgresql" else 6


@pytest.fixture(autouse=True)
def _lent():
    b.lend("cleveland", epsilon=repr(LIMIT))


def at_once(found: list[Worker]) -> bool:
    """Whether every process was at work before the first had finished."""
    return max(worker.began for worker in found) < min(worker.ended for worker in found)


def within_budget(rounds: int) -> bool:
    """Whether the filter at the sealed order holds that many rounds."""
    order = float(DatasetBudget.objects.get().filter_order)
    return fits_adaptively([b.TRAIN] * rounds, LIMIT, 1e-3, order).fits


def judge(jobs: list[list[dict]], found: list[Worker]) -> int:
    """The reservations of a race that was fair; how many there are."""
    assert at_once(found)
    said: dict[tuple, set] = {}
    for asked, worker in zip(jobs, found, strict=True):
        for job, answer in zip(asked, worker.answers, strict=True):
            said.setdefault((job["study"], job["round"], job.get("attempt", 1)), set()).add(answer)
    assert all(len(answers) == 1 for answers in said.values())  # two workers, one answer
    rows = Entry.objects.filter(kind="reserved")
    stored = {(row.study, row.round, row.attempt): row.sequence for row in rows}
    granted = {key: answers.pop() for key, answers in said.items() if not answers & REFUSALS}
    assert granted == stored
    events = b.events_of(None, "cleveland", "heart")
    assert len(events) == len(stored)
    for accountant in ("pld", "rdp"):
        assert epsilon(events, 1e-3, accountant).epsilon <= LIMIT
    verdict = verify()
    assert verdict.ok, verdict.sentence()
    return len(stored)


def test_two_studies_and_one_budget(workers):
    """Each round is asked for by two workers; the budget ends up full to the last round."""
    jobs = [
        [
            {"act": "reserve", "study": ("heart", "lungs")[w % 2], "round": 1 + (w // 4 + n) % 12}
            for n in range(12)
        ]
        for w in range(workers)
    ]
    taken = judge(jobs, race(jobs, warm=16))
    assert within_budget(taken)
    assert not within_budget(taken + 1)


def test_sealed_plans_keep_their_room_whoever_races(workers):
    """Half of the workers repeat rounds of one study beyond its plan; the other's is untouched."""
    for study in ("heart", "lungs"):
        b.seal(rounds=6, study=study, limit=WIDE)
    greedy = [{"act": "reserve", "study": "heart", "round": 1, "attempt": n} for n in range(1, 13)]
    honest = [{"act": "reserve", "study": "lungs", "round": n} for n in range(1, 7)]
    jobs = [greedy if w % 2 else honest for w in range(workers)]
    taken = judge(jobs, race(jobs, warm=16))
    by_study = Counter(Entry.objects.filter(kind="reserved").values_list("study", flat=True))
    assert by_study["lungs"] == 6
    assert 6 <= by_study["heart"] < 12
    assert within_budget(taken)
    assert not within_budget(taken + 1)


def test_as_many_plans_are_committed_as_fit(workers):
    jobs = [
        [{"act": "seal", "study": f"study-{w // 2}", "rounds": 4} for _ in range(3)]
        for w in range(workers)
    ]
    found = race(jobs, warm=4)
    assert at_once(found)
    sealed = set(Entry.objects.filter(kind="sealed").values_list("study", flat=True))
    for asked, worker in zip(jobs, found, strict=True):
        fits = {job["study"] in sealed for job in asked}
        assert fits == {answer not in REFUSALS for answer in worker.answers}
    demand = commitments.standing().demand(histories.load(), ("cleveland", "heart"))
    assert sum(event.steps for event in demand) == 4 * len(sealed) * b.TRAIN.steps
    expected = max(n for n in range(1, 9) if within_budget(4 * n) or n == 1)
    assert len(sealed) == min(expected, workers // 2)
    assert verify().ok
