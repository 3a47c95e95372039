"""The program that races: forks a process per list of jobs, and says what each job came to."""

import json
import multiprocessing
import sys
import time
from typing import Any

from django.db import connection, connections

from accounting.dp.accountants import epsilon
from accounting.services.ledger import BudgetExceeded, Limit
from tests.accounting import builders as b

WIDE = Limit(50.0, 1e-3)  # of each study: what binds is the dataset
SECONDS = 60


def main() -> None:
    """Read {"jobs", "warm"}, fork, let go together, write the workers as JSON."""
    asked = json.load(sys.stdin)
    for rounds in range(1, asked["warm"] + 1):  # priced once for all workers
        epsilon([b.TRAIN] * rounds, WIDE.delta)
    connections.close_all()
    context = multiprocessing.get_context("fork")
    start, answers = context.Barrier(len(asked["jobs"])), context.SimpleQueue()
    workers = [
        context.Process(target=work, args=(number, jobs, start, answers))
        for number, jobs in enumerate(asked["jobs"])
    ]
    for worker in workers:
        worker.start()
    found = dict(answers.get() for _ in workers)
    for worker in workers:
        worker.join()
    sys.stdout.write(json.dumps([found[number] for number in sorted(found)]))


def work(number: int, jobs: list[dict], start: Any, answers: Any) -> None:
    """One process: connects, waits for all others, does its jobs."""
    connection.ensure_connection()
    start.wait(SECONDS)
    began = time.monotonic()
    told = [do(job) for job in jobs]
    answers.put((number, {"began": began, "ended": time.monotonic(), "answers": told}))
    connections.close_all()


def do(job: dict) -> int | str:
    """The entry's number, or the name of the refusal; any other exception ends the race."""
    try:
        return ACTS[job["act"]](job).sequence
    except BudgetExceeded as refusal:
        return type(refusal).__name__


def reserve(job: dict):
    where = b.key(number=job["round"], attempt=job.get("attempt", 1), study=job["study"])
    return b.reserve(where, limit=WIDE)


def seal(job: dict):
    return b.seal(rounds=job["rounds"], study=job["study"], limit=WIDE)


ACTS = {"reserve": reserve, "seal": seal}

if __name__ == "__main__":
    main()
