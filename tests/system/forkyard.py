"""An installation whose processes are forked, not started: killed by hundreds, back in no time.

`python -m tests.system.forkyard FOLDER KILLS SEED` loads torch, Django and Celery once. Web, hub
worker, clock and sites are children of their own that run the programs' own main functions, with
a folder, a log and a key each; Valkey is started as ever. While a study runs, one of them at a
time gets kill −9, at random. The last line of output is a JSON object with what came of it.
"""

import json
import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

from config.launch.installation import Installation, open_installation
from tests.system.small_study import write_small_study

FORK = multiprocessing.get_context("fork")
LETTERS = "abc"
ROUNDS = 600
SETTLE_SECONDS = 60.0


def prepare(folder: Path) -> Installation:
    """The installation in `folder`, with this process inside its environment before Django is."""
    installation = open_installation(folder)
    os.environ.update(installation.hub_environment())
    return installation


INSTALLATION = prepare(Path(sys.argv[1]))

import django  # noqa: E402  (reads the environment that was just made)

django.setup()

import torch  # noqa: E402
from django.db import connections  # noqa: E402
from django.db.models import Max  # noqa: E402

import config.asgi  # noqa: E402  (loaded before the forks, as all below)
import config.web  # noqa: E402
import federation.tasks  # noqa: E402, F401
from accounting.models import Entry, SiteDifference, SiteEntry  # noqa: E402
from accounting.services.verification import verify  # noqa: E402
from config.celery import app as hub_app  # noqa: E402
from config.clock import app as clock_app  # noqa: E402
from config.launch import conduct, processes, sites  # noqa: E402
from config.launch.people import LEAD, create_people, create_site_admins  # noqa: E402
from config.launch.session import running_hub  # noqa: E402
from federation.learning import evaluation, training  # noqa: E402, F401
from federation.models import Assignment, Round  # noqa: E402
from federation.protocol import plans  # noqa: E402
from federation.protocol.study_file import read  # noqa: E402
from federation.site import assembly, worker  # noqa: E402, F401
from federation.site.cli import main as site_main  # noqa: E402
from federation.site.journal import read_entries  # noqa: E402
from studies.models import Person, Study  # noqa: E402
from studies.services import studies  # noqa: E402
from tests.federation.sums import sums  # noqa: E402

torch.set_num_threads(1)


class Forked:
    """A forked process that answers like a Popen."""

    def __init__(self, program: processes.Program) -> None:
        connections.close_all()
        self.process = FORK.Process(target=run, args=(program,))
        self.process.start()
        self.pid = self.process.pid

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise processes.subprocess.TimeoutExpired("forked", timeout or 0)
        return self.process.exitcode


def run(program: processes.Program) -> None:
    """Become `program`: own session, folder and log, no connection of the parent's."""
    os.setsid()
    processes._die_with_parent()
    os.chdir(program.folder)
    program.log.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    for connection in connections.all(initialized_only=True):
        getattr(connection, "_connection_pools", {}).clear()
    if program.name == "web":
        config.web.main(program.sockets[0].fileno())
    elif program.name == "hub-worker":
        hub_app.worker_main(list(program.arguments[5:]))
    elif program.name == "hub-clock":
        clock_app.start(list(program.arguments[5:]))
    else:
        for name in [name for name in os.environ if name.startswith(("CLOISTER_", "DJANGO_"))]:
            del os.environ[name]
        sys.exit(site_main(["run", "--folder", "."]))


def spawn(program: processes.Program) -> object:
    return started(program) if program.name == "valkey" else Forked(program)


started, processes._spawn = processes._spawn, spawn
processes.LONGEST_BACKOFF_SECONDS = 0.05


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


class Killing:
    """The study while its processes die."""

    def __init__(self, supervisor: processes.Supervisor, study: Study, seed: int) -> None:
        self.supervisor, self.study = supervisor, study
        self.source, self.killed = random.Random(seed), Counter()
        self.wrong: list[str] = []

    def victim(self) -> str:
        """Whom it hits next; Valkey, whose death costs the others their connections, seldom."""
        names = [name for name in self.supervisor.names() if name != "valkey"]
        return "valkey" if self.source.random() < 0.03 else self.source.choice(names)

    def kill(self) -> None:
        end = time.monotonic() + self.source.uniform(0.05, 0.9)
        while time.monotonic() < end:
            self.supervisor.watch()
            time.sleep(0.02)
        name = self.victim()
        child = self.supervisor._children[name]
        if child.process.poll() is None:
            os.kill(child.process.pid, processes.signal.SIGKILL)
            child.process.wait(5)
            self.killed[name.split("-")[0] if "site" in name else name] += 1
        self.tick()

    def tick(self) -> None:
        self.supervisor.watch()
        self.study.refresh_from_db()
        if self.study.status == "paused":  # as a lead would, after reading why
            say(f"resumed: {self.study.status_reason}")
            studies.resume(self.study, by=self.study.lead)

    def look(self) -> None:
        """Whatever left was charged before: at the hub, at each site, at any moment."""
        # Journals first: what a site has written, the hub's later state must explain.
        for slug, entries in journals().items():
            charged = {place(e) for e in entries if e.kind == "charged"}
            left = {place(e) for e in entries if e.kind == "released"}
            self.wrong += [f"{slug} released {p} without a charge" for p in left - charged]
        rows = Entry.objects.filter(kind__in=("charged", "released"))
        charged, left = set(), set()
        for row in rows.order_by("sequence"):
            (charged if row.kind == "charged" else left).add((row.institution, place(row)))
            if row.kind == "released" and (row.institution, place(row)) not in charged:
                self.wrong.append(f"the hub shows a release before its charge: {row}")


def place(row) -> tuple:
    return row.study, row.round, row.attempt, row.phase


def journals() -> dict[str, tuple]:
    folders = sorted((INSTALLATION.folder / "sites").iterdir())
    return {folder.name: read_entries(folder / "journal.sqlite3") for folder in folders}


def settle(killing: Killing) -> None:
    """No more kills: let the open round end, then pause."""
    end = time.monotonic() + SETTLE_SECONDS
    first = Round.objects.latest("pk").pk
    while Round.objects.get(pk=first).status == "open":
        killing.tick()
        time.sleep(0.05)
        if time.monotonic() > end:
            raise SystemExit(f"round {first} did not end without kills: {stuck()}")
    studies.pause(killing.study, by=killing.study.lead)
    while Assignment.objects.filter(status__in=("open", "taken")).exists():
        killing.supervisor.watch()
        time.sleep(0.05)
        if time.monotonic() > end:
            raise SystemExit(f"the last round did not end: {stuck()}")
    while not told(killing.study):
        killing.supervisor.watch()
        time.sleep(0.2)
        if time.monotonic() > end:
            raise SystemExit(f"the sites did not tell their journals: {journals().keys()}")


def told(study: Study) -> bool:
    """Whether every site has told the hub its whole journal, which it does every few seconds."""
    known = {
        state["institution"]: state["last"]
        for state in SiteEntry.objects.values("institution").annotate(last=Max("sequence"))
    }
    return all(known.get(slug) == entries[-1].sequence for slug, entries in journals().items())


def stuck() -> list:
    return list(Assignment.objects.filter(status__in=("open", "taken")).values())


def compared() -> dict:
    """Both sides' charges: key, lineage and event of each, and what only one side has."""
    events = {
        (row.institution, *place(row)): (row.lineage, json.loads(row.body)["event"])
        for row in Entry.objects.filter(kind="reserved")
    }
    keys = {(r.institution, *place(r)) for r in Entry.objects.filter(kind="charged")}
    hub = {key: events[key] for key in keys}
    site = {
        (slug, *place(entry)): (entry.lineage, json.loads(entry.event))
        for slug, entries in journals().items()
        for entry in entries
        if entry.kind == "charged"
    }
    both = hub.keys() & site.keys()
    return {
        "hub": len(hub),
        "sites": len(site),
        # A site that was killed with its assignment in hand, and whose round ended before it
        # came back, was charged by the hub alone: nobody could know that it had not begun.
        "hub_only": sorted(map(str, hub.keys() - site.keys())),
        "site_only": sorted(map(str, site.keys() - hub.keys())),
        "unequal": sorted(str(key) for key in both if hub[key] != site[key]),
    }


def main(kills: int, seed: int) -> dict:
    folder = INSTALLATION.folder
    path = write_small_study(
        folder / "study",
        letters=LETTERS,
        rounds=ROUNDS,
        privacy="noise_multiplier = 40.0",
        evaluation="every = 5\nholdout = 0.2\nnoise_multiplier = 40.0",
    )
    file = read(path)
    with running_hub(INSTALLATION, say) as supervisor:
        logins = create_people(folder)
        lead = Person.objects.get(username=LEAD)
        create_site_admins(sites.register_institutions(file.institutions, lead), logins.password)
        sealed = plans.seal(file.protocol)
        for entry in file.institutions:
            sites.write_site_file(INSTALLATION, entry, sealed)
        sites.enrol_sites(INSTALLATION, file.institutions, lead)
        for entry in file.institutions:
            INSTALLATION.start_site(supervisor, entry.slug)
        study = conduct.write_study(file, lead)
        sites.wait_for_offers([e.slug for e in file.institutions], 60, supervisor.watch)
        conduct.approve_everywhere(study, file)
        conduct.start(study)
        killing = Killing(supervisor, study, seed)
        while not Round.objects.filter(number=2).exists():
            killing.tick()
            time.sleep(0.05)
        say("killing")
        while killing.killed.total() < kills:
            killing.kill()
            if killing.killed.total() % 10 == 0:
                killing.look()
        say(f"killed {dict(killing.killed)}")
        settle(killing)
        killing.look()
    verdict = verify()
    return {
        "killed": dict(killing.killed),
        "rounds": Round.objects.filter(status="closed").count(),
        "failed_rounds": Round.objects.filter(status="failed").count(),
        "entries": verdict.entries,
        "verified": verdict.ok,
        "verdict": verdict.sentence(),
        "wrong": killing.wrong,
        "differences": [str(row) for row in SiteDifference.objects.all()],
        "sums": [str(row) for row in sums(study.slug) if not row.agrees],
        **compared(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[2]), int(sys.argv[3]))) + "\n")
