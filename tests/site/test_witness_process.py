"""A real site process against hubs that lie: refused, remembered over kills, and explained."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from federation.protocol.messages import Contribution, Refusal
from federation.site.folder import Folder
from federation.site.witness import Verdict, read_sightings
from tests.site.conftest import model, study
from tests.site.hub import Hub
from tests.site.processes import ROOT, Worker, eventually, journal_kinds, start

PROTOCOL = study()
DONE = ["charged", "released", "acknowledged"]


@pytest.fixture
def worker(folder: Folder, hub: Hub) -> Iterator[Callable[..., Worker]]:
    """Starts workers in the folder and ends what is left of them."""
    hub.approve(PROTOCOL)
    started: list[Worker] = []

    def launch(**options: str) -> Worker:
        started.append(start(folder, **options))
        return started[-1]

    yield launch
    for one in started:
        one.end()


def answered(hub: Hub, number: int, **changes: int) -> Contribution | Refusal:
    return hub.answer(hub.assign(PROTOCOL, model(), round=number, **changes))


def witness(folder: Folder) -> subprocess.CompletedProcess[str]:
    """What a person at the site is told."""
    command = [sys.executable, "-m", "federation.site", "witness", "--folder", str(folder.path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def asked_for_checkpoints(hub: Hub) -> int:
    """Requests for a checkpoint that followed an assignment: on the way of a round."""
    seen = zip(hub.seen, hub.seen[1:], strict=False)
    return sum(
        (before.status, "ledger/checkpoint" in after.path) == (200, True)
        for before, after in seen
        if "assignments?" in before.path
    )


def test_a_rewritten_history_is_caught_by_a_running_site(
    worker: Callable[..., Worker], hub: Hub, folder: Folder
) -> None:
    site = worker()
    assert isinstance(answered(hub, 1), Contribution)
    assert asked_for_checkpoints(hub) == 0  # it came with the assignment
    hub.ledger += [b"released", b"acknowledged"]
    assert isinstance(answered(hub, 2), Contribution)
    hub.ledger[0] = b"a larger budget"  # and everything after it is hashed and signed again
    refusal = answered(hub, 3)
    assert (refusal.reason, refusal.accessed) == ("ledger_forked", False)
    eventually(lambda: "ledger_forked" in site.said(), "said in the log")
    assert "Traceback" not in site.said()
    site.process.kill()
    site.process.wait(10)

    hub.ledger[0] = b"declared"  # the honest history again: too late
    again = worker()
    assert answered(hub, 3, attempt=2).reason == "ledger_forked"
    assert again.terminate(5) == 0
    assert journal_kinds(folder).count("charged") == 2

    told = witness(folder)
    assert told.returncode == 1
    assert "does not continue" in told.stdout
    assert "--accept" in told.stdout
    assert told.stdout.count('"signature"') >= 2


@pytest.mark.parametrize(
    ("die_at", "left"),
    [
        ("federation.site.journal:Journal:append", []),  # accepted, nothing charged yet
        ("federation.site.datasets:Datasets:read", ["charged"]),
    ],
)
def test_killed_between_a_checkpoint_and_its_answer(
    worker: Callable[..., Worker], hub: Hub, folder: Folder, die_at: str, left: list[str]
) -> None:
    """What was accepted is on disk before anything is computed: it still binds the hub."""
    uid = hub.assign(PROTOCOL, model())
    dead = worker(die_at=die_at)
    assert dead.process.wait(40) == -signal.SIGKILL
    seen = read_sightings(folder.journal)
    assert [row.verdict for row in seen] == [Verdict.ACCEPTED]
    assert journal_kinds(folder) == left
    hub.ledger[0] = b"rewritten while it was down"
    worker()
    refusal = hub.answer(uid)
    assert (refusal.reason, refusal.accessed) == ("ledger_forked", bool(left))


def test_killed_after_accepting_it_goes_on_with_an_honest_hub(
    worker: Callable[..., Worker], hub: Hub, folder: Folder
) -> None:
    uid = hub.assign(PROTOCOL, model())
    dead = worker(die_at="federation.site.journal:Journal:append")
    assert dead.process.wait(40) == -signal.SIGKILL
    worker()
    assert isinstance(hub.answer(uid), Contribution)
    eventually(lambda: [row["kind"] for row in hub.journal] == DONE, "the journal told")
    assert hub.statements[-1].checkpoint["size"] == read_sightings(folder.journal)[-1].size
