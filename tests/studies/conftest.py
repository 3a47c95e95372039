"""People with stories: who owns, who belongs, who oversees, and who has no business here."""

from asyncio import QueueEmpty
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounting.services import budgets
from studies.models import Institution, Participation, Person, Role, Study
from studies.services import institutions, participations, people, studies
from tests.studies.protocols import small_protocol

IN_MEMORY = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


@pytest.fixture(autouse=True)
def _channels_in_memory(settings) -> None:
    settings.CHANNEL_LAYERS = IN_MEMORY


@pytest.fixture
def hospitals(db) -> SimpleNamespace:
    """Three institutions with a site each; Zurich is in no cohort."""
    return SimpleNamespace(
        cleveland=hospital("cleveland", "11"),
        budapest=hospital("budapest", "22"),
        zurich=hospital("zurich", "33"),
    )


def hospital(slug: str, key: str) -> Institution:
    """An enrolled site that lends one dataset, as its offer and the ledger say."""
    dataset = {"name": "heart", "lineage": "heart-1988", "epsilon": "3"}
    made = Institution.objects.create(
        slug=slug,
        name=slug.title(),
        site_key=key * 32,
        enrolled_at=timezone.now(),
        offer={"datasets": [dataset]},
    )
    budgets.declare(made, [{**dataset, "delta": "0.001"}])
    return made


@pytest.fixture
def cast(hospitals) -> SimpleNamespace:
    """Ada leads; Carla and Bela administer invited sites; the others look in from outside."""
    here, there = hospitals.cleveland, hospitals.zurich
    return SimpleNamespace(
        ada=person("ada", Role.STUDY_LEAD),
        boris=person("boris", Role.STUDY_LEAD),  # leads something else
        carla=person("carla", Role.SITE_ADMIN, here),
        bela=person("bela", Role.SITE_ADMIN, hospitals.budapest),
        zoe=person("zoe", Role.SITE_ADMIN, there),  # not invited
        olga=person("olga", Role.COMPLIANCE_OFFICER),
        otto=person("otto", Role.COMPLIANCE_OFFICER, here),
        olaf=person("olaf", Role.COMPLIANCE_OFFICER, there),  # of a foreign house
        petra=person("petra", Role.OPERATOR),
        nobody=person("nobody"),
    )


def person(username: str, role: Role | None = None, at: Institution | None = None) -> Person:
    made = Person.objects.create(username=username, first_name=username.title())
    if role:
        people.grant(made, role, at)
    return made


@pytest.fixture
def draft(cast) -> Study:
    return studies.create(protocol=small_protocol(), by=cast.ada)


@pytest.fixture
def submitted(draft, cast) -> Study:
    return studies.submit(draft, by=cast.ada)


@pytest.fixture
def approved(submitted, cast) -> Study:
    approve_all(submitted, cast)
    return submitted


@pytest.fixture
def running(approved, cast) -> Study:
    return studies.start(approved, by=cast.ada)


@pytest.fixture
def part(submitted) -> Callable[[str], Participation]:
    return lambda slug: submitted.participations.get(institution__slug=slug)


def approve_all(study: Study, cast: SimpleNamespace) -> None:
    admins = {"cleveland": cast.carla, "budapest": cast.bela}
    for row in study.participations.all():
        participations.approve(
            row,
            by=admins[row.institution.slug],
            dataset="heart",
            protocol_digest=study.protocol_digest,
        )


@pytest.fixture
def committed(django_capture_on_commit_callbacks) -> DjangoCaptureOnCommitCallbacks:
    """A block whose on_commit callbacks run at its end, as a real commit would have them."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


@pytest.fixture
def heard() -> Callable[[str], list[str]]:
    """heard(group): the kinds of news that reached the group since it was last asked."""
    return lambda group: [message["kind"] for message in drain(group)]


@pytest.fixture(autouse=True)
def _ears(_channels_in_memory) -> None:
    """One ear in every group that a test may ask about."""
    layer = get_channel_layer()
    for group in ("study.heart-disease", "people"):
        async_to_sync(layer.group_add)(group, f"ear.{group}")
        layer.channels.pop(f"ear.{group}", None)


def drain(group: str) -> list[dict]:
    queue = get_channel_layer().channels.get(f"ear.{group}")
    messages = []
    while queue is not None:
        try:
            messages.append(queue.get_nowait()[1])
        except QueueEmpty:
            break
    return messages


@pytest.fixture
def token(cast, hospitals) -> str:
    return institutions.issue_token(hospitals.zurich, by=cast.zoe)
