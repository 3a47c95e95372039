"""A second contradiction at the same place is told again when it is another one, and only then."""

import pytest
from django.db import connection

from accounting.contradictions import core
from accounting.models import Differs, SiteDifference
from accounting.services import differences, reconciliation
from federation.protocol import messages
from federation.protocol.tensors import pack
from studies import triggers
from studies.models import Event
from studies.services import studies
from tests.federation.bookkeeping import Bookkeeper, found, tampered
from tests.federation.conftest import advance


def told(study) -> int:
    return Event.objects.filter(study=study, kind="journal_mismatch").count()


def explained(study, lead) -> None:
    """Everything found so far has its word, and the study runs again."""
    for row in SiteDifference.objects.filter(note__isnull=True):
        differences.explain(row, by=lead, reason="A wrong name in site.toml.")
    study.refresh_from_db()
    studies.resume(study, by=lead)


def released_something_else(zurich: Bookkeeper, task, left: str) -> None:
    place = zurich.charge(task)
    zurich.release(task, left)
    data = pack(zurich.site.computed(task))
    zurich.site.upload(task, data)
    answer = zurich.site.contribution(task, data, journal=place)
    assert zurich.site.answer(task, messages.sign(answer, zurich.site.key)).json()["accepted"]


def test_another_release_after_the_first_was_explained(study, zurich, lead):
    task = zurich.take()
    released_something_else(zurich, task, "c" * 64)
    zurich.tell()
    explained(study, lead)
    zurich.tell()
    reconciliation.sweep()
    assert (found(), told(study)) == ([Differs.OTHER_RELEASE], 1)
    tampered(
        "UPDATE accounting_entry SET body = REPLACE(body, %s, %s) WHERE kind = 'released'",
        '"tensors_digest":"',
        '"tensors_digest":"0',
    )
    reconciliation.sweep()
    assert (found(), told(study)) == ([Differs.OTHER_RELEASE] * 2, 2)
    first, second = SiteDifference.objects.order_by("id")
    assert second.hub["tensors_digest"] == "0" + first.hub["tensors_digest"]
    study.refresh_from_db()
    assert study.status == "paused", "it is held anew"


def test_a_charge_that_differs_in_one_more_thing(study, zurich, lead):
    zurich.charge(zurich.take(), lineage="another")
    zurich.tell()
    explained(study, lead)
    tampered(
        "UPDATE accounting_entry SET body = REPLACE(body, %s, %s) WHERE kind = 'reserved'",
        '"protocol_digest":"',
        '"protocol_digest":"0',
    )
    reconciliation.sweep()
    assert found() == [Differs.OTHER_CHARGE] * 2
    reconciliation.sweep()
    assert told(study) == 2


def test_a_third_charge_is_told_after_the_second(study, zurich, lead, tmp_path):
    task = zurich.take()
    zurich.charge(task)
    zurich.tell()
    for number in (2, 3):
        keeper = Bookkeeper.of(zurich.site, tmp_path, f"anew-{number}")
        assert keeper.send(keeper.statement()).status_code == 409
        explained(study, lead)
        keeper.checkpoint = zurich.checkpoint
        keeper.charge(task, protocol_digest=str(number) * 64)
        keeper.tell()
        explained(study, lead)
    assert found().count(Differs.CHARGED_TWICE) == 2
    assert len(SiteDifference.objects.last().site["charges"].split(", ")) == 3


def test_the_same_one_with_later_rows_is_not(study, zurich, lead):
    task = zurich.take()
    zurich.charge(task, lineage="another")
    zurich.tell()
    explained(study, lead)
    zurich.release(task, "c" * 64)
    zurich.tell()
    advance(study, later=61)
    reconciliation.sweep()
    assert (found(), told(study)) == ([Differs.OTHER_CHARGE], 1)


def test_one_that_was_found_before_the_facts_were_in_its_key(study, zurich):
    zurich.charge(zurich.take(), lineage="another")
    zurich.tell()
    triggers.remove(connection, ("accounting_sitedifference",))
    tampered("UPDATE accounting_sitedifference SET key = 'zurich/heart/1.1/train/other_charge'")
    reconciliation.sweep()
    assert found() == [Differs.OTHER_CHARGE]


AT_A_PLACE = [each for each in Differs if each not in (Differs.REPLACED, Differs.CHECKPOINT)]


@pytest.mark.parametrize("what", AT_A_PLACE)
def test_the_core_of_each_kind_depends_on_what_it_is_about(what):
    hub = {"rows": "reserved", "event": "{}", "lineage": "a", "tensors_digest": "c", "charge": "x"}
    site = {"rows": "charged", "event": "[]", "lineage": "b", "tensors_digest": "d", "charge": "y"}
    site["charges"] = "y, z"
    same = core(what, hub | {"rows": "reserved, charged"}, site | {"rows": "charged, released"})
    assert same == core(what, hub, site)
    changes = ("charge", "charges", "event", "tensors_digest")
    assert any(core(what, hub, site | {name: "new"}) != same for name in changes)
