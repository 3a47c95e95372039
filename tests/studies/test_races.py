"""Two people press at once: one wins, the other is told, nothing happens twice."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection

from studies.models import Approval, Study
from studies.services import participations, studies
from studies.services.errors import ChangedMeanwhile, Refused, StaleApproval
from studies.states import IllegalMove
from tests.studies.conftest import approve_all
from tests.studies.protocols import small_protocol

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*acts: Callable[[], object]) -> list[type | None]:
    """Run the acts in threads that start together; the type of each one's refusal, if any."""
    together, outcomes = threading.Barrier(len(acts)), [None] * len(acts)

    def run(place: int, act: Callable[[], object]) -> None:
        together.wait()
        try:
            act()
        except (Refused, IllegalMove) as error:
            outcomes[place] = type(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_a_study_starts_once(approved, cast):
    rows = [Study.objects.get() for _ in range(3)]
    outcomes = at_once(*(lambda row=row: studies.start(row, by=cast.ada) for row in rows))
    assert sorted(outcomes, key=str) == [IllegalMove, IllegalMove, None]
    assert approved.events.filter(kind="study_started").count() == 1


def test_an_approval_is_given_once(submitted, part, cast):
    rows = [part("cleveland") for _ in range(3)]
    digest = submitted.protocol_digest
    outcomes = at_once(
        *(
            lambda row=row: participations.approve(
                row, by=cast.carla, dataset="heart", protocol_digest=digest
            )
            for row in rows
        )
    )
    assert outcomes.count(None) == 1
    assert Approval.objects.count() == 1


def test_an_approval_and_a_revision_never_pass_each_other(submitted, part, cast):
    """Whoever comes first: afterwards nobody counts as having approved what they never read."""
    row, digest = part("cleveland"), submitted.protocol_digest
    outcomes = at_once(
        lambda: participations.approve(row, by=cast.carla, dataset="heart", protocol_digest=digest),
        lambda: studies.revise(submitted, small_protocol(rounds={"count": 3}), by=cast.ada),
    )
    assert outcomes in ([None, None], [StaleApproval, None])
    assert part("cleveland").status == "invited"
    assert all(decision.protocol_digest == digest for decision in Approval.objects.all())


def test_two_drafts_of_one_name_get_two_slugs(cast):
    leads = (cast.ada, cast.boris, cast.ada)
    drafts = (lambda by=by: studies.create(protocol=small_protocol(), by=by) for by in leads)
    assert at_once(*drafts) == [None, None, None]
    slugs = sorted(Study.objects.values_list("slug", flat=True))
    assert slugs == ["heart-disease", "heart-disease-2", "heart-disease-3"]


def test_a_start_and_a_revision_exclude_each_other(submitted, cast):
    approve_all(submitted, cast)
    one, two = Study.objects.get(), Study.objects.get()
    outcomes = at_once(
        lambda: studies.start(one, by=cast.ada),
        lambda: studies.revise(two, small_protocol(rounds={"count": 3}), by=cast.ada),
    )
    assert outcomes.count(None) == 1
    assert set(outcomes) <= {None, IllegalMove, ChangedMeanwhile, *Refused.__subclasses__()}
    running = Study.objects.get().status == "running"
    assert running == (outcomes[0] is None)
