"""The engine is woken by the task's name after commit; a broker that is away stops nobody."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import celery
import pytest
import redis
from celery import Celery

from studies.models import Study
from studies.services import participations, studies

AWAY = "redis://127.0.0.1:1/0"


@pytest.fixture
def current_app() -> Iterator[Celery]:
    """A Celery application with the hub's settings as the current one."""
    app = Celery("hub", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    before = celery.current_app._get_current_object()
    app.set_current()
    yield app
    before.set_current()
    app.close()


@pytest.fixture
def broker(valkey, current_app) -> Iterator[redis.Redis]:
    """The hub's queue on the real broker."""
    current_app.conf.broker_url = valkey
    client = redis.Redis.from_url(valkey)
    client.delete("hub")
    yield client
    client.delete("hub")
    client.close()


def waiting(client) -> list:
    messages = [json.loads(raw) for raw in client.lrange("hub", 0, -1)]
    return [(m["headers"]["task"], m["headers"]["argsrepr"]) for m in messages]


def test_a_start_wakes_the_engine_after_commit(approved, cast, broker, committed):
    with committed():
        studies.start(approved, by=cast.ada)
        assert waiting(broker) == []
    assert waiting(broker) == [("federation.advance", f"[{approved.pk}]")]


def test_with_the_broker_away_the_study_starts_all_the_same(approved, cast, committed, current_app):
    current_app.conf.broker_url = AWAY
    with committed():
        studies.start(approved, by=cast.ada)
    assert Study.objects.get().status == "running"


@pytest.mark.parametrize("act", [studies.pause, studies.withdraw])
def test_every_move_that_matters_to_rounds_wakes_it(act, running, cast, broker, committed):
    with committed():
        act(running, by=cast.ada)
    assert set(waiting(broker)) == {("federation.advance", f"[{running.pk}]")}
    assert len(waiting(broker)) == 1


def test_a_withdrawing_institution_wakes_it(running, cast, broker, committed):
    row = running.participations.get(institution__slug="cleveland")
    with committed():
        participations.withdraw(row, by=cast.carla)
    assert waiting(broker) == [("federation.advance", f"[{running.pk}]")]


def test_every_process_sends_to_the_hubs_own_broker():
    """Also one that never loads the ASGI or the worker's module: a management command."""
    with ThreadPoolExecutor(1) as thread:
        main = thread.submit(lambda: celery.current_app.main).result()
    assert main == "cloister"
