"""Events are recorded with what changed and told after commit; news that get lost lose nothing."""

import pytest
import redis
from django.db import transaction

from studies.kinds import KINDS, NEWS_ONLY
from studies.models import Event
from studies.selectors import timeline
from studies.services import events
from tests.studies.conftest import drain


def test_news_reach_every_group_after_commit(draft, hospitals, committed, heard):
    with committed():
        event = events.record(
            "contribution_received", study=draft, institution=hospitals.cleveland, round=3
        )
        assert heard("people") == []
    for group in ("study.heart-disease", "people"):
        assert drain(group) == [
            {
                "type": "news",
                "id": event.id,
                "kind": "contribution_received",
                "study": "heart-disease",
                "institution": "cleveland",
            }
        ]


def test_what_is_rolled_back_is_never_told(draft, committed, heard):
    with committed(), transaction.atomic():
        events.record("round_opened", study=draft, round=1)
        transaction.set_rollback(True)
    assert heard("people") == []
    assert not Event.objects.filter(kind="round_opened").exists()


def test_progress_is_news_without_a_row(draft, hospitals, committed, heard):
    with committed():
        events.news("step_done", study=draft, institution=hospitals.cleveland)
    assert heard("study.heart-disease") == ["step_done"]
    assert not Event.objects.filter(kind="step_done").exists()


@pytest.mark.parametrize("kind", ["", "study_exploded", *NEWS_ONLY])
def test_only_known_kinds_become_rows(kind, draft):
    with pytest.raises(events.UnknownKind):
        events.record(kind, study=draft)


def test_unknown_news_are_refused(draft):
    with pytest.raises(events.UnknownKind):
        events.news("study_exploded", study=draft)


@pytest.mark.parametrize("host", ["redis://127.0.0.1:1/0"])
def test_with_redis_away_only_the_news_are_lost(host, settings, draft, committed):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [host]},
        }
    }
    with pytest.raises(redis.exceptions.ConnectionError):
        redis.Redis.from_url(host).ping()
    with committed():
        events.record("round_opened", study=draft, round=1)
    assert Event.objects.filter(kind="round_opened").count() == 1


# Each word that any sentence takes from its payload, as the services record them.
FULL = {
    "round": 7,
    "key": "k",
    "person": "p",
    "role": "r",
    "revision": 2,
    "dataset": "d",
    "number": 3,
    "meaning": "approved",
    "percent": 81,
    "what": "dataset d",
    "noise": "1.1",
    "shown": "0.42",
    "alert": "budget low",
}


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - NEWS_ONLY))
def test_every_kind_is_told_as_a_sentence(kind, draft, cast, hospitals):
    event = events.record(
        kind, study=draft, institution=hospitals.cleveland, by=cast.ada, **FULL, reason="so it is"
    )
    text = timeline.sentence(event)
    assert "?" not in text
    assert "{" not in text
    assert text.endswith(": so it is")
    bare = timeline.sentence(events.record(kind))
    assert "{" not in bare


def test_a_payload_cannot_speak_for_somebody_else(draft, cast):
    event = events.record(
        "study_paused", study=draft, by=cast.ada, reason="{by} <script>", institution_name="x"
    )
    assert timeline.sentence(event) == "Ada paused the study: {by} <script>"


def test_a_kind_of_the_future_still_reads(draft):
    row = Event(kind="moon_landed", study=draft, payload={})
    assert timeline.sentence(row) == "moon landed"
