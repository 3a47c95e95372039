"""Costs per row and costs per patient never compose on one dataset."""

from dataclasses import replace

import pytest
from django.urls import reverse

from accounting.models import LedgerHead
from accounting.selectors import spending
from accounting.services import ledger
from accounting.services.ledger import MixedUnits
from accounting.services.verification import verify
from federation.protocol.document import Protocol
from studies.models import Institution
from studies.selectors.protocols import protocol_of
from studies.services import participations, studies
from studies.services.errors import NotOffered
from tests.accounting import builders as b
from tests.accounting import moves
from tests.accounting import world as w

pytestmark = pytest.mark.django_db
BY_ROWS = {"unit": "row", "patient_column": None, "max_rows_per_patient": None}
BY_ROW = replace(b.TRAIN, unit="row")


@pytest.fixture(autouse=True)
def _lent():
    b.lend("cleveland")


def test_a_second_unit_on_a_dataset_is_refused_and_nothing_is_written():
    b.reserve(b.key())
    size = LedgerHead.objects.get().size
    with pytest.raises(MixedUnits, match="charged per patient before"):
        b.reserve(b.key(study="lungs"), BY_ROW)
    assert LedgerHead.objects.get().size == size
    b.reserve(b.key(study="lungs"))


def test_two_units_in_one_request_are_refused():
    requests = [b.reservation(b.key()), b.reservation(b.key(phase="evaluate"), BY_ROW)]
    with pytest.raises(MixedUnits):
        ledger.reserve_all(requests)


def test_what_was_given_back_binds_nobody():
    b.reserve(b.key())
    moves.abort(b.key(), "never taken")
    b.reserve(b.key(study="lungs"), BY_ROW)
    with pytest.raises(MixedUnits):
        b.reserve(b.key(number=2))
    assert verify().ok


def test_another_dataset_may_have_another_unit():
    b.lend("cleveland", lineage="lungs")
    b.lend("zurich")
    b.reserve(b.key())
    b.reserve(b.key(lineage="lungs", study="lungs"), BY_ROW)
    b.reserve(b.key("zurich", study="lungs"), BY_ROW)
    assert spending.remaining("cleveland", "heart").unit == "patient"
    assert spending.remaining("cleveland", "lungs").unit == "row"
    assert verify().ok


def test_a_lifetime_figure_stands_beside_its_unit(client):
    world = w.build()
    w.play(world)
    client.force_login(world.officer)
    text = client.get(reverse("ledger")).content.decode()
    for words in ("lifetime, all studies", "this study, this institution"):
        assert f"· per patient · {words}" in text


def test_a_conflict_of_units_is_shown_before_and_refused_at_approval(client):
    world = w.build()
    document = protocol_of(world.study).model_dump(exclude={"plan"})
    row = Protocol.model_validate(
        {**document, "name": "By row", "data": {**document["data"], **BY_ROWS}}
    )
    study = studies.create(protocol=row, by=world.lead)
    studies.submit(study, by=world.lead)
    part = study.participations.get(institution__slug="cleveland")
    client.force_login(world.admin)
    page = client.get(reverse("panel-lending", args=[study.slug, "cleveland"])).content.decode()
    for words in ("other unit", "was charged per patient before, and this study"):
        assert words in page
    Institution.objects.update(offer={"datasets": [{"name": "heart", "lineage": "heart"}]})
    part.refresh_from_db()
    with pytest.raises(NotOffered, match="write the study with the unit 'patient'"):
        participations.approve(
            part, by=world.admin, dataset="heart", protocol_digest=study.protocol_digest
        )
    part.refresh_from_db()
    assert part.status == "invited"
