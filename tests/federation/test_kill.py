"""Kill −9 at each arrow of the hub's ledger, in a process of its own: all of a step, or nothing."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import SyncToAsync
from django.db import connection, connections, models

from accounting.models import Entry, EntryKind
from accounting.services import ledger, returning, rows
from accounting.services.verification import verify
from federation.api import routes
from federation.protocol.messages import Reason
from studies.models import Study
from studies.services import studies
from tests.federation.conftest import SLUGS, advance, kinds

REASON = Reason.LOCAL_FAILURE
FORK = multiprocessing.get_context("fork")
PATHS = {  # what a whole round writes about one mechanism
    "reserved": ["reserved"],
    "charged": ["reserved", "charged"],
    "released": ["reserved", "charged", "released"],
    "acknowledged": ["reserved", "charged", "released", "acknowledged"],
}


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying(real: Callable, kind: str, *, written: bool) -> Callable:
    """`append` that dies when a row of `kind` is among what it writes, or has just written."""

    def append(head: models.Model, drafts: Any, now: Any) -> Any:
        hit = any(draft.kind == kind for draft in drafts)
        if hit and not written:
            die()
        entries = real(head, drafts, now)
        if hit:
            die()  # written, not committed
        return entries

    return append


def killed(act: Callable[[], Any], kind: str, *, written: bool) -> None:
    """Run `act` in a forked process that is killed at the arrow to `kind`."""
    connections.close_all()
    if hasattr(connection, "close_pool"):  # PostgreSQL's must not be shared with the fork
        connection.close_pool()

    def run() -> None:
        # The parent's threads are not there after a fork.
        SyncToAsync.single_thread_executor = ThreadPoolExecutor(1)
        routes.THREADS = ThreadPoolExecutor(1)
        for module in (ledger, returning, rows):
            module.append = dying(rows.append, kind, written=written)
        act()

    process = FORK.Process(target=run)
    process.start()
    process.join(20)
    assert process.exitcode == -signal.SIGKILL, f"nothing wrote {kind}"


def everything(study) -> list[list[str]]:
    return [kinds(study, slug) for slug in SLUGS]


def consistent() -> None:
    verdict = verify()
    assert verdict.ok, verdict.sentence()
    for left in Entry.objects.filter(kind=EntryKind.RELEASED):
        earlier = Entry.objects.filter(sequence__lt=left.sequence, kind=EntryKind.CHARGED)
        assert earlier.filter(
            institution=left.institution, round=left.round, phase=left.phase
        ).exists()


@pytest.mark.parametrize("written", [False, True], ids=["before", "written, not committed"])
def test_starting(start, lead, written):
    """The plan is sealed with the start, everywhere or nowhere."""
    killed(start, "sealed", written=written)
    study = Study.objects.get()
    assert study.status == "submitted"
    assert not Entry.objects.filter(kind="sealed").exists()
    advance(studies.start(study, by=lead))
    assert Entry.objects.filter(kind="sealed").count() == 3
    assert everything(study) == [["reserved"]] * 3
    consistent()


@pytest.mark.parametrize("written", [False, True], ids=["before", "written, not committed"])
def test_ending(study, lead, written):
    """It ends and returns its plan, or neither."""
    killed(lambda: studies.withdraw(study, by=lead, reason="no"), "returned", written=written)
    study.refresh_from_db()
    assert study.status == "running"
    assert not Entry.objects.filter(kind="returned").exists()
    studies.withdraw(study, by=lead, reason="no")
    assert Entry.objects.filter(kind="returned").count() == 3
    consistent()


@pytest.mark.parametrize("written", [False, True], ids=["before", "written, not committed"])
def test_opening(start, written):
    study = start()
    killed(lambda: advance(study), "reserved", written=written)
    assert everything(study) == [[], [], []]
    consistent()
    advance(study)
    assert everything(study) == [["reserved"]] * 3
    consistent()


@pytest.mark.parametrize("written", [False, True], ids=["before", "written, not committed"])
def test_a_site_takes(study, sites, written):
    site = sites["zurich"]
    killed(site.take, "charged", written=written)
    assert kinds(study, site) == ["reserved"]
    assert site.take() is not None
    assert kinds(study, site) == ["reserved", "charged"]
    consistent()


@pytest.mark.parametrize("written", [False, True], ids=["before", "written, not committed"])
def test_a_site_answers(study, sites, written):
    site = sites["zurich"]
    task = site.take()
    killed(lambda: site.contribute(task), "released", written=written)
    assert kinds(study, site) == PATHS["charged"]
    site.contribute(task)
    assert kinds(study, site) == PATHS["released"]
    consistent()


@pytest.mark.parametrize("written", [False, True], ids=["before", "written, not committed"])
def test_a_model_is_made(study, sites, written):
    for site in sites.values():
        site.work()
    killed(lambda: advance(study), "acknowledged", written=written)
    assert everything(study) == [PATHS["released"]] * 3
    advance(study)
    assert everything(study) == [PATHS["acknowledged"]] * 3
    consistent()


@pytest.mark.parametrize("written", [False, True], ids=["before", "written, not committed"])
@pytest.mark.parametrize("kind", ["lost", "aborted"])
def test_a_deadline_passes(study, sites, kind, written):
    sites["zurich"].take()
    killed(lambda: advance(study, later=61), kind, written=written)
    assert kinds(study, "zurich") == PATHS["charged"]
    assert kinds(study, "budapest") == PATHS["reserved"]
    advance(study, later=61)
    assert kinds(study, "zurich") == ["reserved", "charged", "lost"]
    assert kinds(study, "budapest") == ["reserved", "aborted"]
    consistent()


@pytest.mark.parametrize("written", [False, True], ids=["before", "written, not committed"])
def test_a_site_declines_after_it_read(study, sites, written):
    site = sites["zurich"]
    task = site.take()
    killed(lambda: site.refuse(task, REASON, accessed=True), "refused", written=written)
    assert kinds(study, site) == PATHS["charged"]
    site.refuse(task, REASON, accessed=True)
    assert kinds(study, site) == ["reserved", "charged", "refused"]
    consistent()
