"""The engine is woken by the task's name after commit; a broker that is away stops nobody."""

import json

import pytest
import redis

from config.celery import app
from studies.models import Study
from studies.services import studies


@pytest.fixture
def broker(valkey, monkeypatch):
    """The hub's own Celery application as the current one, on the real broker."""
    app.set_current()
    client = redis.Redis.from_url(valkey)
    client.delete("hub")
    yield client
    client.delete("hub")
    client.close()
    app.pool.force_close_all()
    app._pool = None


def waiting(client) -> list:
    messages = [json.loads(raw) for raw in client.lrange("hub", 0, -1)]
    return [(m["headers"]["task"], m["headers"]["argsrepr"]) for m in messages]


def test_a_start_wakes_the_engine_after_commit(approved, cast, broker, committed):
    with committed():
        studies.start(approved, by=cast.ada)
        assert waiting(broker) == []
    assert waiting(broker) == [("federation.advance", f"[{approved.pk}]")]


def test_with_the_broker_away_the_study_starts_all_the_same(approved, cast, committed):
    app.set_current()
    kept = app.conf.broker_url
    app.conf.broker_url = "redis://127.0.0.1:1/0"
    try:
        with committed():
            studies.start(approved, by=cast.ada)
    finally:
        app.conf.broker_url = kept
    assert Study.objects.get().status == "running"
