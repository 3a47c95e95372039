"""A hub put back to yesterday's database while its sites run: refused, looked at, and gone on from.

`python -m tests.system.restoring FOLDER` runs a study of two sites with every process forked (see
forkyard), copies the hub's database after two rounds, lets two more run, kills the hub and puts
the copy back. Then it is lead, site admin and operator. The last line is a JSON object.

A round takes a tenth of a second, so nothing here may hang on how many run between two looks: the
plan is much longer than what is waited for, and what was lost is counted from the copy itself.
"""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.system import forkyard as yard  # before any other: it reads the folder, starts Django

from accounting.dp.events import Mechanism, PrivacyEvent  # isort: skip
from accounting.dp.filters import best_order, fits_adaptively  # isort: skip
from accounting.models import SiteDifference  # isort: skip
from accounting.services import differences  # isort: skip
from accounting.services.verification import verify  # isort: skip
from config.launch.people import site_admin  # isort: skip
from config.launch.setting_up import set_up  # isort: skip
from django.db import connections  # isort: skip
from federation.models import Assignment, Round  # isort: skip
from federation.protocol.study_file import read  # isort: skip
from federation.site.journal import read_entries  # isort: skip
from federation.site.witness import Verdict, read_sightings  # isort: skip
from studies.models import Event, Person  # isort: skip
from studies.services import studies  # isort: skip
from tests.federation.sums import sums  # isort: skip
from tests.system.small_study import write_small_study  # isort: skip

SITES = ("site-a", "site-b")
HUB = ("hub-clock", "hub-worker", "web")
ROUNDS, COPIED, LOST = 24, 2, 2  # planned; closed in the copy at least; closed after it at least
# Rounds that a site's own lifetime budget holds, whatever the hub remembers: the plan and one more,
# so that the LOST ones, run again, do not fit.
ROOM = ROUNDS + 1
NOISE, DELTA, SECONDS = 40.0, 1e-4, 120.0
ONE = PrivacyEvent(Mechanism.POISSON_GAUSSIAN, NOISE, 0.5, 2, 1.0, 50.0)
DATABASE = yard.INSTALLATION.hub_folder / "hub.sqlite3"
COPY = yard.INSTALLATION.folder / "yesterday.sqlite3"


def lifetime(rounds: int) -> float:
    """The least lifetime ε whose filter holds so many rounds, to 1e-4."""
    low, high = 1e-3, 50.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        fits = fits_adaptively([ONE] * rounds, middle, DELTA, best_order(middle, DELTA)).fits
        low, high = (low, middle) if fits else (middle, high)
    return high


class Restoring:
    """The study, its processes, and the people who act."""

    def __init__(self, supervisor, study) -> None:
        self.supervisor, self.study, self.reasons = supervisor, study, []

    def until(self, seen: Callable[[], bool], what: str, *, acting: bool = False) -> None:
        """Wait for it; `acting`: meanwhile lead and site admins do what the pages ask of them."""
        end = time.monotonic() + SECONDS
        while not seen():
            if time.monotonic() > end:
                raise SystemExit(f"not within {SECONDS} s: {what}; {self.reasons[-5:]}")
            self.supervisor.watch()
            if acting:
                self.act()
            time.sleep(0.05)

    def rest(self) -> None:
        """The lead pauses the study: what is open ends, and the sites tell and look."""
        studies.pause(self.study, by=self.study.lead)

    def over(self) -> bool:
        """The hub says so by what it booked, or a site by its own journal."""
        self.study.refresh_from_db()
        return self.study.status == "exhausted" or bool(limited())

    def act(self) -> None:
        for row in SiteDifference.objects.filter(note__isnull=True):
            admin = Person.objects.get(username=site_admin(row.institution))
            differences.explain(row, by=admin, reason="The hub was restored from a backup.")
        self.study.refresh_from_db()
        if self.study.status == "paused":
            self.reasons.append(self.study.status_reason)
            studies.resume(self.study, by=self.study.lead)

    def stopped(self, names) -> list:
        """Kill −9 these programs for good; what they were, to start them again."""
        programs = []
        for name in names:
            child = self.supervisor._children.pop(name)
            child.process.process.kill()
            child.process.wait(5)
            programs.append(child.program)
        return programs

    def started(self, programs) -> None:
        for program in programs:
            self.supervisor.start(program)


def folder(slug: str) -> Path:
    return yard.INSTALLATION.site_folder(slug)


def journal(slug: str, kind: str) -> list:
    rows = read_entries(folder(slug) / "journal.sqlite3")
    return [row for row in rows if row.kind == kind]


def closed() -> int:
    return Round.objects.filter(status="closed").count()


def remembered() -> int:
    """Rounds that are closed in the copy."""
    with sqlite3.connect(COPY) as copy:
        rows = copy.execute("SELECT count(*) FROM federation_round WHERE status = 'closed'")
        return rows.fetchone()[0]


def still() -> bool:
    """No site has anything to answer: from now on it charges only what a hub asks anew."""
    return not Assignment.objects.filter(status__in=("open", "taken")).exists()


def copied(source: Path, target: Path) -> None:
    with sqlite3.connect(source) as one, sqlite3.connect(target) as other:
        one.backup(other)


def put_back() -> None:
    connections.close_all()
    for end in ("", "-wal", "-shm"):
        Path(f"{DATABASE}{end}").unlink(missing_ok=True)
    copied(COPY, DATABASE)


def witnessed() -> bool:
    """A rollback to what nobody saw beyond would be told by the journals alone.

    How far beyond is left to chance: the restored hub's ledger is then shorter than what was seen,
    or has grown as long again with other entries. It is refused either way.
    """
    with sqlite3.connect(COPY) as copy:
        size = copy.execute("SELECT size FROM accounting_ledgerhead").fetchone()[0]
    return all(seen(slug)[-1].size > size for slug in SITES)


def seen(slug: str) -> tuple:
    return read_sightings(folder(slug) / "journal.sqlite3")


def refused(slug: str) -> bool:
    return seen(slug)[-1].verdict == Verdict.REFUSED


def witness(slug: str, *more: str) -> subprocess.CompletedProcess[str]:
    """The operator of a site at its command line, who types `accept`."""
    command = [sys.executable, "-m", "federation.site", "witness", "--folder", str(folder(slug))]
    return subprocess.run(
        [*command, *more], input="accept\n", capture_output=True, text=True, check=False
    )


def forked() -> set[str]:
    rows = Event.objects.filter(kind="witness_failed").select_related("institution")
    return {row.institution.slug for row in rows}


def limited() -> list[str]:
    rows = Event.objects.filter(kind="assignment_refused", payload__reason="limit_lifetime")
    return [row.institution.slug for row in rows.select_related("institution")]


def main() -> dict:
    budget = lifetime(ROOM)
    path = write_small_study(
        yard.INSTALLATION.folder / "study",
        letters="ab",
        rounds=ROUNDS,
        privacy=f"noise_multiplier = {NOISE}\nepsilon_budget = 5.0",
        lifetime=budget,
    )
    file = read(path)
    with yard.running_hub(yard.INSTALLATION, yard.say) as supervisor:
        _, lead = set_up(yard.INSTALLATION, file, supervisor)
        study = yard.conduct.write_study(file, lead)
        yard.sites.wait_for_offers([e.slug for e in file.institutions], 60, supervisor.watch)
        yard.conduct.approve_everywhere(study, file)
        yard.conduct.start(study)
        return play(Restoring(supervisor, study))


def play(day: Restoring) -> dict:
    day.until(lambda: closed() >= COPIED, "the rounds of yesterday")
    copied(DATABASE, COPY)
    yesterday = remembered()
    day.until(lambda: closed() >= yesterday + LOST, "the rounds of today")
    day.rest()
    day.until(still, "the last round of today")
    day.until(witnessed, "every site sees more than there is in the copy")
    hub = day.stopped(HUB)
    before = {slug: journal(slug, "charged") for slug in SITES}
    put_back()
    day.started(hub[::-1])
    day.until(lambda: all(map(refused, SITES)), "every site refuses", acting=True)
    day.until(lambda: len(forked()) == len(SITES), "the hub is told by each", acting=True)
    after = {slug: journal(slug, "charged") for slug in SITES}
    looked = {slug: witness(slug) for slug in SITES}
    workers = day.stopped([f"site-{slug}" for slug in SITES])
    accepted = {slug: witness(slug, "--accept", "--reason", "restored") for slug in SITES}
    day.started(workers)
    gone_on = closed()
    day.until(day.over, "the budget ends it", acting=True)
    day.until(lambda: yard.told(day.study), "the sites tell their journals", acting=True)
    verdict = verify()
    return {
        "remembered": yesterday,
        "charged_before": {slug: len(rows) for slug, rows in before.items()},
        "kept": all(after[slug][: len(before[slug])] == before[slug] for slug in SITES),
        "charged_while_refusing": {s: len(after[s]) - len(before[s]) for s in SITES},
        "told": [one.returncode for one in looked.values()],
        "words": [one.stdout for one in looked.values()],
        "accepted": [one.returncode for one in accepted.values()],
        "witness_failed": sorted(forked()),
        "closed_since": closed() - gone_on,
        "status": day.study.status,
        "charges": {slug: len(journal(slug, "charged")) for slug in SITES},
        "uncharged": [
            str(row)
            for slug in SITES
            for row in journal(slug, "released")
            if yard.place(row) not in set(map(yard.place, journal(slug, "charged")))
        ],
        "differences": sorted({row.what for row in SiteDifference.objects.all()}),
        "sums": [(row.hub, row.site) for row in sums(day.study.slug)],
        "verified": verdict.ok,
        "verdict": verdict.sentence(),
        "room": ROOM,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()) + "\n")
