"""The tasks are known to the hub's worker by name, and an error in one study stops no other."""

import pytest

from config.celery import app
from federation import tasks
from federation.models import Round
from federation.services import advancing
from studies.models import Study
from studies.services import studies


def test_the_worker_and_the_clock_know_them_by_name():
    app.loader.import_default_modules()
    assert {"federation.advance", "federation.sweep"} <= set(app.tasks)
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)


def test_a_task_that_comes_twice_is_harmless(start):
    study = start()
    for _ in range(2):
        tasks.advance(study.pk)
    assert Round.objects.count() == 1


def test_a_study_that_is_gone_is_no_error():
    tasks.advance(7)


@pytest.fixture
def sent(monkeypatch) -> list[int]:
    ids: list[int] = []
    monkeypatch.setattr(tasks.advance, "delay", ids.append)
    return ids


def test_the_sweep_hands_out_one_task_for_each_study_that_could_move(start, sent):
    first, second = start(), start(name="Lung")
    tasks.sweep()
    assert sent == [first.pk, second.pk] == advancing.due()
    Study.objects.filter(pk=first.pk).update(status="completed")
    sent.clear()
    tasks.sweep()
    assert sent == [second.pk]


def test_a_study_the_hub_cannot_move_is_put_on_hold_and_can_be_resumed(start, monkeypatch):
    """The text of the fault may hold anything, so only its kind is told."""
    study = start()

    def broken(study_id: int) -> None:
        raise ZeroDivisionError("patient 4711")

    monkeypatch.setattr(advancing, "advance", broken)
    for _ in range(4):
        tasks.advance.apply([study.pk])
        assert Study.objects.get().status == "running"
    tasks.advance.apply([study.pk])
    held = Study.objects.get()
    assert held.status == "paused"
    assert "ZeroDivisionError" in held.status_reason
    assert "4711" not in held.status_reason
    studies.resume(held, by=held.lead)
    monkeypatch.undo()
    assert tasks.advance.apply([study.pk]).successful()


def test_failures_with_a_success_between_them_are_no_row(start, monkeypatch):
    study = start()
    faults = iter([OSError, OSError, OSError, OSError, None, OSError, OSError, OSError, OSError])

    def sometimes(study_id: int) -> None:
        fault = next(faults)
        if fault:
            raise fault

    monkeypatch.setattr(advancing, "advance", sometimes)
    for _ in range(9):
        tasks.advance.apply([study.pk])
    assert Study.objects.get().status == "running"
