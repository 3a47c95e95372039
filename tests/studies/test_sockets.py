"""The socket: who is let in, what is heard, what was missed, and when it closes."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.contrib.auth import logout
from django.http import HttpRequest

from studies import consumers
from studies.models import Event, Role
from studies.selectors import news
from studies.services import events, participations, people, studies
from tests.studies.browser import Tab, log_in

STUDY, HOME = "/ws/news/study/heart-disease/", "/ws/news/"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def _fresh_layer() -> AsyncIterator[None]:
    yield
    await get_channel_layer().flush()


def later(function: Callable, *arguments: Any, **keywords: Any):
    """Run a service in a thread, with its own connection, as a web request does."""
    return database_sync_to_async(function)(*arguments, **keywords)


@pytest.mark.parametrize("name", ["ada", "carla", "bela", "olga", "otto"])
async def test_who_sees_the_study_is_let_in(name, submitted, cast):
    async with Tab(STUDY, getattr(cast, name)) as tab:
        assert tab.accepted


@pytest.mark.parametrize("name", ["boris", "zoe", "olaf", "petra", "nobody", None])
async def test_who_does_not_is_refused_before_it_opens(name, submitted, cast):
    async with Tab(STUDY, name and getattr(cast, name)) as tab:
        assert (tab.accepted, tab.code) == (False, consumers.REFUSED)


async def test_a_study_that_does_not_exist_is_refused_alike(cast):
    async with Tab("/ws/news/study/nowhere/", cast.ada) as tab:
        assert (tab.accepted, tab.code) == (False, consumers.REFUSED)


@pytest.mark.parametrize("name", ["nobody", None])
async def test_the_home_page_is_for_people_with_a_role(name, cast):
    async with Tab(HOME, name and getattr(cast, name)) as tab:
        assert not tab.accepted
    async with Tab(HOME, cast.petra) as tab:
        assert tab.accepted


async def test_another_origin_is_refused(submitted, cast):
    async with Tab(STUDY, cast.ada, origin="https://evil.example") as tab:
        assert not tab.accepted


@pytest.mark.parametrize("after", ["", "x", "-2", "1.5", "9" * 19, "9" * 40, "²", "1%00"])
async def test_an_after_that_is_no_id_is_refused(after, submitted, cast):
    async with Tab(f"{STUDY}?after={after}", cast.ada) as tab:
        assert tab.accepted is (after == "")  # an empty value is no value


async def test_a_second_institutions_events_never_arrive(submitted, hospitals, cast, part):
    """Carla and Bela watch one study; each hears of the study and of her own house."""
    carlas, belas, adas = (Tab(STUDY, who) for who in (cast.carla, cast.bela, cast.ada))
    async with carlas, belas, adas:
        await later(
            participations.approve,
            await later(part, "cleveland"),
            by=cast.carla,
            dataset="heart",
            protocol_digest=submitted.protocol_digest,
        )
        await later(events.news, "step_done", study=submitted, institution=hospitals.budapest)
        last = await later(events.record, "round_opened", study=submitted, round=1)
        assert [(await adas.hears())[1] for _ in range(3)] == [
            "participation_approved",
            "step_done",
            "round_opened",
        ]
        assert (await carlas.hears())[1] == "participation_approved"
        assert await carlas.hears() == (last.pk, "round_opened")
        assert await belas.hears() == (None, "step_done")
        assert await belas.hears() == (last.pk, "round_opened")
        for tab in (carlas, belas, adas):
            assert await tab.hears_nothing()


async def test_the_home_page_hears_of_what_its_person_may_read(submitted, hospitals, cast):
    async with Tab(HOME, cast.zoe) as zoes, Tab(HOME, cast.petra) as petras:
        await later(events.record, "study_held", study=submitted, reason="a site is away")
        await later(events.record, "token_issued", institution=hospitals.zurich, by=cast.zoe)
        await later(events.news, "site_seen", institution=hospitals.cleveland)
        await later(events.record, "ledger_verified", by=cast.olga)
        assert (await zoes.hears())[1] == "token_issued"
        assert (await petras.hears())[1] == "site_seen"  # what a house lends is not hers to read
        assert await zoes.hears_nothing()
        assert await petras.hears_nothing()


async def test_a_role_taken_away_closes_its_sockets(submitted, hospitals, cast):
    async with Tab(STUDY, cast.carla) as tab, Tab(STUDY, cast.bela) as other:
        await later(people.revoke, cast.carla, Role.SITE_ADMIN, hospitals.cleveland, by=cast.petra)
        assert await tab.closes() == consumers.REFUSED
        assert await other.hears_nothing()


async def test_a_role_that_vanished_without_a_word_is_noticed_at_the_next_news(submitted, cast):
    async with Tab(STUDY, cast.carla) as tab:
        await later(cast.carla.memberships.all().delete)
        await later(events.record, "round_opened", study=submitted, round=1)
        assert await tab.closes() == consumers.REFUSED


async def test_a_deactivated_person_is_cut_off(submitted, cast):
    async with Tab(HOME, cast.olga) as tab:
        await later(people.deactivate, cast.olga, by=cast.petra)
        assert await tab.closes() == consumers.REFUSED


async def test_logging_out_ends_what_the_session_hears(submitted, cast):
    async with Tab(STUDY, cast.ada) as tab:
        request = HttpRequest()
        request.session, request.user = tab.session, cast.ada
        await later(logout, request)
        await later(events.record, "round_opened", study=submitted, round=1)
        assert await tab.closes() == consumers.REFUSED


async def test_losing_one_of_two_roles_keeps_the_socket(submitted, hospitals, cast):
    await later(people.grant, cast.carla, Role.COMPLIANCE_OFFICER, hospitals.cleveland)
    async with Tab(STUDY, cast.carla) as tab:
        await later(people.revoke, cast.carla, Role.SITE_ADMIN, hospitals.cleveland)
        assert await tab.hears_nothing()
        await later(events.record, "round_opened", study=submitted, round=1)
        assert (await tab.hears())[1] == "round_opened"


async def test_a_reconnecting_browser_hears_what_it_missed_in_order(submitted, hospitals, cast):
    first = await later(events.record, "round_opened", study=submitted, round=1)
    foreign = await later(
        events.record, "contribution_received", study=submitted, institution=hospitals.budapest
    )
    last = await later(events.record, "round_closed", study=submitted, round=1)
    async with Tab(f"{STUDY}?after={first.pk - 1}", cast.carla) as tab:
        assert await tab.hears() == (first.pk, "round_opened")
        assert await tab.hears() == (last.pk, "round_closed")
        assert await tab.hears_nothing()
    async with Tab(f"{STUDY}?after={first.pk}", cast.ada) as tab:
        assert [await tab.hears(), await tab.hears()] == [
            (foreign.pk, "contribution_received"),
            (last.pk, "round_closed"),
        ]
    async with Tab(f"{STUDY}?after={last.pk}", cast.ada) as tab:
        assert await tab.hears_nothing()


async def test_who_was_away_for_long_hears_the_newest_of_each_kind(submitted, cast, monkeypatch):
    monkeypatch.setattr(news, "REPLAY", 3)
    rows = [
        await later(events.record, kind, study=submitted, round=number)
        for number in range(3)
        for kind in ("round_opened", "round_closed")
    ]
    async with Tab(f"{STUDY}?after={rows[0].pk - 1}", cast.ada) as tab:
        assert await tab.hears() == (rows[4].pk, "round_opened")
        assert await tab.hears() == (rows[5].pk, "round_closed")
        assert await tab.hears_nothing()


@pytest.mark.parametrize(
    ("text", "data"),
    [("hello", None), ('{"type": "news"}', None), ("", None), ("ping" * 99, None), (None, b"ping")],
)  # fmt: skip
async def test_anything_but_a_ping_closes(text, data, submitted, cast):
    before = await later(Event.objects.count)
    async with Tab(STUDY, cast.ada) as tab:
        await tab.says(text, data)
        assert await tab.closes() == consumers.UNKNOWN_MESSAGE
    assert await later(Event.objects.count) == before


async def test_pings_are_answered_but_not_in_a_flood(submitted, cast):
    async with Tab(STUDY, cast.ada) as tab:
        await tab.says("ping")
        assert await tab.hears() == (None, "pong")
        await tab.says("ping")
        assert await tab.closes() == consumers.TOO_FAST


async def test_a_burst_of_progress_is_thinned_and_rows_never_are(submitted, hospitals, cast):
    async with Tab(STUDY, cast.ada) as tab:
        for _ in range(5):
            await later(events.news, "step_done", study=submitted, institution=hospitals.cleveland)
        for number in range(3):
            await later(events.record, "round_opened", study=submitted, round=number)
        kinds = [(await tab.hears())[1] for _ in range(4)]
        assert kinds == ["step_done", "round_opened", "round_opened", "round_opened"]


async def test_it_works_over_the_real_server(valkey, settings, submitted, cast):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [valkey]},
        }
    }
    async with Tab(STUDY, cast.ada) as tab:
        await later(studies.withdraw, submitted, by=cast.ada)
        assert (await tab.hears())[1] == "study_withdrawn"
    await get_channel_layer().flush()


async def test_a_stolen_session_key_of_somebody_else_is_only_theirs(submitted, cast):
    session = await later(log_in, cast.zoe)
    async with Tab(STUDY, None) as tab:
        assert session.session_key
        assert not tab.accepted
