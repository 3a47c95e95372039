"""A site that waits is woken by a ring at once, and by the rows within about a second."""

import asyncio
import time

import pytest
from channels.layers import InMemoryChannelLayer
from django.http import HttpResponse
from django.test import AsyncClient
from redis.exceptions import ConnectionError as RedisDown

from federation.api import routes, waiting
from tests.federation.conftest import advance, apart
from tests.federation.sites import API, Site

pytestmark = pytest.mark.asyncio


async def poll(site: Site, seconds: float) -> tuple[HttpResponse, float]:
    """The answer, and when it came (monotonic seconds)."""
    path = f"assignments?wait={seconds}"
    response = await AsyncClient().get(API + path, headers=site.signed("GET", path))
    return response, time.monotonic()


async def woken_after(start, site: Site) -> float:
    """Seconds from the commit that opened a round to the answer of a poll that waited for it."""
    study = await apart(start)
    waiting_poll = asyncio.create_task(poll(site, 20))
    await asyncio.sleep(0.3)
    assert not waiting_poll.done()
    await apart(advance, study)
    opened = time.monotonic()
    response, came = await asyncio.wait_for(waiting_poll, 5)
    assert response.status_code == 200
    return came - opened


async def test_a_ring_ends_the_wait_at_once(start, sites):
    assert await woken_after(start, sites["zurich"]) < 0.3


async def test_a_lost_ring_costs_a_second(start, sites, monkeypatch):
    async def lost(*args):
        return None

    monkeypatch.setattr(InMemoryChannelLayer, "group_send", lost)
    assert await woken_after(start, sites["zurich"]) < 1.3


async def test_without_redis_the_rows_are_looked_at_each_second(start, sites, monkeypatch):
    async def down(*args):
        raise RedisDown

    for name in ("new_channel", "group_send"):
        monkeypatch.setattr(InMemoryChannelLayer, name, down)
    assert await woken_after(start, sites["zurich"]) < 1.3


async def test_a_layer_that_hangs_does_not_hang_the_poll(study, sites, monkeypatch):
    async def hanging(*args):
        await asyncio.sleep(60)

    monkeypatch.setattr(InMemoryChannelLayer, "new_channel", hanging)
    await apart(sites["zurich"].work)
    monkeypatch.setattr(waiting, "SUBSCRIBE_WITHIN", 0.05)
    began = time.monotonic()
    response, came = await poll(sites["zurich"], 0.2)
    assert response.status_code == 204
    assert came - began < 2


async def test_waiting_in_vain_ends_in_time(start, sites):
    began = time.monotonic()
    response, came = await poll(sites["zurich"], 0.3)
    assert response.status_code == 204
    assert 0.3 <= came - began < 1.0


async def test_more_sites_wait_than_there_are_threads(start, sites):
    """A wait holds no thread: three times as many polls as threads, and all are served."""
    site, count = sites["zurich"], waiting.MOST_AT_ONCE
    others = [s for s in sites.values() if s is not site]
    polls = [poll(s, 0.5) for s in [site, *others] for _ in range(count)]
    assert len(polls) > 2 * routes.THREADS._max_workers
    began = time.monotonic()
    answers = await asyncio.gather(*polls)
    assert {response.status_code for response, _ in answers} == {204}
    assert max(came for _, came in answers) - began < 5


async def test_one_site_cannot_hold_more_than_a_few(start, sites):
    site = sites["zurich"]
    answers = await asyncio.gather(*(poll(site, 0.5) for _ in range(waiting.MOST_AT_ONCE + 2)))
    codes = sorted(response.status_code for response, _ in answers)
    assert codes == [204] * waiting.MOST_AT_ONCE + [429] * 2
    refused = next(response for response, _ in answers if response.status_code == 429)
    assert refused["Retry-After"] == "2"
    assert (await poll(site, 0))[0].status_code == 204
