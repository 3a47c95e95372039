"""Sites and workers at the same moment: nobody waits for ever, nothing is written twice."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connection

from accounting.models import Entry
from accounting.services import budgets
from accounting.services.verification import verify
from config.celery import app
from federation.models import Assignment, Checkpoint, Contribution, Round
from federation.protocol import messages
from federation.protocol.document import Protocol
from federation.protocol.tensors import pack
from federation.services import advancing
from studies.services import studies
from studies.services.errors import NotReady
from tests.federation.conftest import advance, approve, kinds, varied


def at_once(*works: Callable[[], object]) -> list[object]:
    """Start all works at one moment, each in its thread; their results, or the first error."""
    gate = Barrier(len(works))

    def run(work: Callable[[], object]) -> object:
        gate.wait()
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as threads:
        return [done.result() for done in [threads.submit(run, work) for work in works]]


def test_three_workers_on_one_round(study, sites):
    for site in sites.values():
        site.work()
    at_once(*[lambda: advancing.advance(study.pk)] * 3)
    assert Checkpoint.objects.count() == 2
    assert list(Round.objects.values_list("number", "status")) == [(1, "closed"), (2, "open")]
    assert Assignment.objects.filter(round__number=2).count() == 3


def test_everybody_answers_while_workers_look(study, sites):
    at_once(
        *[site.work for site in sites.values()],
        *[lambda: advancing.advance(study.pk)] * 2,
    )
    advance(study)
    assert Checkpoint.objects.get(number=1).contributors == sorted(sites)
    assert {tuple(kinds(study, slug)) for slug in sites} == {
        ("reserved", "charged", "released", "acknowledged")
    }


def test_an_answer_at_the_deadline_counts_wholly_or_not_at_all(study, sites):
    site = sites["zurich"]
    task = site.take()
    data = pack(site.computed(task))
    site.upload(task, data)
    envelope = messages.sign(site.contribution(task, data), site.key)
    answer, _ = at_once(lambda: site.answer(task, envelope), lambda: advance(study, later=61))
    status = Assignment.objects.get(uid=task.assignment).status
    ledger = kinds(study, site)
    if answer.status_code == 200:
        assert (status, ledger[-1]) == ("answered", "released")
    else:
        assert (answer.status_code, status, ledger[-1]) == (409, "lost", "lost")


def test_the_same_answer_twice_at_once_is_one(study, sites):
    site = sites["zurich"]
    task = site.take()
    data = pack(site.computed(task))
    site.upload(task, data)
    envelope = messages.sign(site.contribution(task, data), site.key)
    answers = at_once(*[lambda: site.answer(task, envelope)] * 3)
    assert {answer.content for answer in answers} == {b'{"accepted": true, "reason": ""}'}
    assert Contribution.objects.count() == 1
    assert kinds(study, site) == ["reserved", "charged", "released"]


def test_the_same_assignment_taken_twice_at_once_is_charged_once(study, sites):
    site = sites["zurich"]
    first, second = at_once(site.take, site.take)
    assert first == second
    assert kinds(study, site) == ["reserved", "charged"]
    assert study.events.filter(kind="assignment_taken").count() == 1


def test_only_the_last_answer_wakes_the_engine(study, sites, monkeypatch):
    sent: list[tuple] = []
    monkeypatch.setattr(app, "send_task", lambda *arguments, **options: sent.append(arguments))
    for number, site in enumerate(sites.values(), start=1):
        site.work()
        assert len(sent) == (1 if number == len(sites) else 0)
    assert sent == [("federation.advance", [study.pk])]


def test_of_two_studies_started_at_once_one_is_told_to_wait(sites, lead):
    """Each fits alone; both together fit nowhere, and only one may commit its plan."""
    for slug, site in sites.items():
        budgets.lower(site.institution, "heart-1988", "1.5", by=lead, reason=slug)
    pair = [ready(name, lead) for name in ("First", "Second")]

    def start(study):
        try:
            return studies.start(study, by=lead).status
        except NotReady as refusal:
            return str(refusal)

    told = sorted(at_once(*[lambda study=study: start(study) for study in pair]), key=len)
    assert told[0] == "running"
    assert "beside what is spent and committed there" in told[1]
    assert Entry.objects.filter(kind="sealed").values("study").distinct().count() == 1
    assert verify().ok


def ready(name, lead):
    document = varied({"name": name, "evaluation": {"every": 0}})
    study = studies.create(protocol=Protocol.model_validate(document), by=lead)
    studies.submit(study, by=lead)
    approve(study, lead)
    return study
