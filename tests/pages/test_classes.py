"""A study that plans by class of machine, as an admin, a lead and a watcher read it."""

import pytest
from django.urls import reverse

from accounting.selectors import shown
from federation.models import Assignment
from federation.protocol.machines import own
from studies.selectors.protocols import protocol_of
from studies.services import studies
from tests.pages.markup import Page
from tests.pages.scenes import asked, opened
from tests.studies.conftest import approve_all
from tests.studies.protocols import small_protocol


@pytest.fixture
def by_class(cast, hospitals):
    """Budapest is small, Cleveland of no class; submitted."""
    hospitals.budapest.offer["machine"] = "small"
    hospitals.budapest.save()
    classes = {"small": {"local_steps": 1}, "large": {"sample_rate": 0.9}}
    protocol = small_protocol(training={"classes": classes})
    return studies.submit(studies.create(protocol=protocol, by=cast.ada), by=cast.ada)


def html(client, name, *where):
    return client.get(reverse(name, args=where)).content.decode()


def test_an_admin_reads_the_own_plan_and_its_price(by_class, cast, browse):
    protocol = protocol_of(by_class)
    told = html(browse(cast.bela), "study-approve", by_class.slug, "budapest")
    assert Page(told).page_faults() == []
    assert "the class of machine that your site declares, <strong>small</strong>" in told
    assert ": 1 step a round" in told
    assert "step k of 1)" in told
    assert own(protocol, "budapest").plan.epsilon != protocol.plan.epsilon
    price = f"ε = {own(protocol, 'budapest').plan.epsilon[:5]}"[:8]
    assert price in told


def test_a_site_of_no_class_reads_that_it_has_none(by_class, cast, browse):
    told = html(browse(cast.carla), "study-approve", by_class.slug, "cleveland")
    assert "every machine, as for sites of no class" in told
    assert "yours and its price do not depend on theirs" in told


def test_the_study_stops_at_each_site_by_its_own_plan(cast, hospitals, browse):
    """Cleveland, of no class, reads the same whether or not Budapest's machine is large."""
    hospitals.budapest.offer["machine"] = "large"
    hospitals.budapest.save()
    privacy = {"target_epsilon": None, "noise_multiplier": 20.0}
    classes = {"large": {"sample_rate": 1.0}}
    protocol = small_protocol(training={"classes": classes}, privacy=privacy)
    study = studies.submit(studies.create(protocol=protocol, by=cast.ada), by=cast.ada)
    plan = protocol_of(study).plan
    assert float(plan.epsilon) < float(plan.classes["large"].epsilon)
    for person, house, own_plan in (
        (cast.carla, "cleveland", plan),
        (cast.bela, "budapest", plan.classes["large"]),
    ):
        told = html(browse(person), "study-approve", study.slug, house)
        stops = f"stops at your site when it has spent ε = {shown.up(float(own_plan.epsilon))}"
        assert stops in told


def test_without_classes_nothing_is_said_of_them(submitted, cast, browse):
    told = html(browse(cast.carla), "study-approve", submitted.slug, "cleveland")
    assert "Planned for" not in told
    assert "classes of other sites" not in told


def test_an_admin_reads_that_the_offer_tells_the_class(submitted, cast, browse):
    told = html(browse(cast.carla), "study-approve", submitted.slug, "cleveland")
    assert "caps of its datasets, and the class of its machine, where it declares one" in told


def test_what_a_site_says_meanwhile_is_not_approved(by_class, cast, browse, hospitals):
    hospitals.budapest.offer["machine"] = "large"
    hospitals.budapest.save()
    address = reverse("study-approve", args=(by_class.slug, "budapest"))
    said = {"dataset": "heart", "protocol_digest": by_class.protocol_digest, "read": "on"}
    told = browse(cast.bela).post(address, said).content.decode()
    assert "now counts its machine as large, and the protocol plans for small" in told
    assert by_class.participations.get(institution=hospitals.budapest).status == "invited"


def test_the_protocols_page_shows_each_class(by_class, cast, browse):
    told = html(browse(cast.ada), "study-protocol", by_class.slug)
    assert Page(told).page_faults() == []
    assert "On a small machine" in told
    assert "Classes of machine have noise and a price of their own" in told
    assert '<span class="name-chip">budapest</span>' in told


def test_the_institutions_are_listed_with_their_machines(by_class, cast, browse):
    told = html(browse(cast.ada), "panel-participations", by_class.slug)
    assert told.count(" · small machine") == 1


def test_each_seat_tells_its_plan_and_price(by_class, cast, browse):
    protocol = protocol_of(by_class)
    told = html(browse(cast.ada), "panel-participations", by_class.slug)
    for house, steps in (("budapest", "1 step a round"), ("cleveland", "2 steps a round")):
        price = shown.up(float(own(protocol, house).plan.epsilon))
        assert f"{steps}, sampling rate 0.5; ε = {price} · δ = 0.001" in told


def test_the_live_page_names_the_machine_of_whom_it_waits_for(by_class, cast, browse, hospitals):
    approve_all(by_class, cast)
    studies.start(by_class, by=cast.ada)
    asked(opened(by_class, 1, "open"), hospitals.budapest, "taken", step=1)
    Assignment.objects.update(steps=40)
    line = html(browse(cast.ada), "panel-progress", by_class.slug)
    assert "waiting for Budapest (small machine, step 1 of 40)" in line
    assert 'Budapest <span class="quiet">small machine</span>' in html(
        browse(cast.ada), "panel-rounds", by_class.slug
    )
