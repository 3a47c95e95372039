"""The tasks are known to the hub's worker by name, and an error in one study stops no other."""

import pytest

from config.celery import app
from federation import tasks
from federation.models import Round
from federation.services import advancing
from studies.models import Study


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
