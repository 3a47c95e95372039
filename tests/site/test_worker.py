"""The worker as a real process: Celery over HTTP, killed, stopped, left alone, and watched."""

import re
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from federation.protocol.messages import Contribution
from federation.site.folder import Folder
from federation.site.journal import Journal, Kind, Slot
from tests.site.conftest import model, patients, study
from tests.site.hub import Hub
from tests.site.processes import Worker, eventually, journal_kinds, start

DONE = ["charged", "released", "acknowledged"]


@pytest.fixture
def worker(folder: Folder) -> Iterator[Callable[..., Worker]]:
    """Starts workers in the folder and ends what is left of them."""
    started: list[Worker] = []

    def launch(**options: str) -> Worker:
        started.append(start(folder, **options))
        return started[-1]

    yield launch
    for one in started:
        one.end()


def polled(hub: Hub) -> bool:
    return any(seen.path.endswith("assignments?wait=0") for seen in hub.seen)


def test_rounds_run_without_django_and_nothing_private_shows(
    worker: Callable[..., Worker], hub: Hub, folder: Folder
) -> None:
    rows = patients().splitlines()
    canary = [f"{line},{'name' if not i else f'Canary{i}Quux'}" for i, line in enumerate(rows)]
    (folder.path / "heart.csv").write_text("\n".join(canary) + "\n")
    protocol = study()
    hub.approve(protocol)
    site = worker()
    eventually(lambda: polled(hub), "first poll")
    assert hub.offers[0].datasets[0]["name"] == "heart"
    assert "import" not in site.recorded()  # neither torch nor dp_accounting before work
    uids = [hub.assign(protocol, model(), round=number) for number in (1, 2, 3)]
    uids.append(hub.assign(protocol, model(), round=3, phase="evaluate"))
    assert all(isinstance(hub.answer(uid), Contribution) for uid in uids)
    assert "import torch" in site.recorded()
    eventually(lambda: journal_kinds(folder) == DONE * 4, "acknowledged")
    assert site.terminate(5) == 0

    calls = [line for line in site.recorded().splitlines() if line.startswith("socket")]
    # One kept-alive connection for everything. (urllib3 binds once, to learn whether this machine
    # has IPv6; it never listens.)
    hub_only = f"socket.connect (('127.0.0.1', {hub.port}),)"
    assert [line for line in calls if line != "socket.bind (('::1', 0),)"] == [hub_only]
    assert "Canary" not in site.said()
    assert b"Canary" not in hub.traffic()
    assert not re.search(r"\b(80|81|60)\b rows|loss|accuracy", site.said())
    assert "Traceback" not in site.said()


def test_it_ends_promptly_while_it_waits(worker: Callable[..., Worker], hub: Hub) -> None:
    site = worker()
    eventually(lambda: polled(hub), "first poll")
    time.sleep(0.3)  # now it sits in the long poll
    started = time.monotonic()
    assert site.terminate(2) == 0
    assert time.monotonic() - started < 2
    assert "site_stopped" in site.said()


def test_an_absent_hub_is_waited_for_with_one_line(
    worker: Callable[..., Worker], hub: Hub, folder: Folder
) -> None:
    hub.stop()
    site = worker()
    eventually(lambda: "hub_absent" in site.said(), "absence noticed")
    time.sleep(1.5)
    assert site.said().count("hub_absent") == 1
    hub.start()
    eventually(lambda: hub.offers, "the offer after the first contact")
    # Only an answered poll ends an absence: cut before it, the first one would simply go on.
    eventually(lambda: "hub_reached" in site.said(), "the end of the absence")
    hub.stop()  # cuts the long poll, too
    eventually(lambda: site.said().count("hub_absent") == 2, "second absence noticed")
    hub.start()
    eventually(lambda: len(hub.offers) == 2, "the offer again")
    protocol = study()
    hub.approve(protocol)
    assert isinstance(hub.answer(hub.assign(protocol, model())), Contribution)
    hub.stop()
    time.sleep(0.5)
    assert site.terminate(5) == 0  # also while it backs off


def test_a_revoked_key_is_reported_and_the_worker_stays(
    worker: Callable[..., Worker], hub: Hub
) -> None:
    hub.site_key = None
    site = worker()
    eventually(lambda: "hub_refuses_this_site" in site.said(), "refusal reported")
    time.sleep(1)
    offers = [seen for seen in hub.seen if seen.path.endswith("offer")]
    assert [seen.status for seen in offers] == [401]  # the next try comes slowly
    assert site.process.poll() is None
    assert site.terminate(2) == 0


def test_a_killed_worker_is_started_again_and_finishes(
    worker: Callable[..., Worker], hub: Hub, folder: Folder
) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    dead = worker(die_at="federation.site.datasets:Datasets:read")
    assert dead.process.wait(40) == -signal.SIGKILL
    assert journal_kinds(folder) == ["charged"]
    assert hub.tasks[uid].answers == []
    site = worker()
    assert isinstance(hub.answer(uid), Contribution)
    eventually(lambda: journal_kinds(folder) == DONE, "acknowledged")
    assert site.terminate(5) == 0


def test_a_second_worker_in_the_folder_refuses(worker: Callable[..., Worker], hub: Hub) -> None:
    first = worker()
    eventually(lambda: polled(hub), "first poll")
    second = worker()
    assert second.process.wait(20) == 1
    assert "another site worker already runs" in second.said()
    assert first.process.poll() is None


def test_a_broken_journal_stops_the_worker(
    worker: Callable[..., Worker], hub: Hub, folder: Folder
) -> None:
    journal = Journal(folder.journal)
    slot = Slot("heart-study", 1, 1, "train", "a1", "0" * 64)
    journal.append(Kind.REFUSED, slot, at=datetime.now(UTC), reason="clock")
    journal.close()
    rows = sqlite3.connect(folder.journal)
    rows.execute("DROP TRIGGER no_update")
    rows.execute("UPDATE entries SET reason = 'expired'")
    rows.commit()
    rows.close()
    before = len(hub.seen)
    broken = worker()
    assert broken.process.wait(20) == 1
    assert "does not fit its chain" in broken.said()
    assert len(hub.seen) == before
