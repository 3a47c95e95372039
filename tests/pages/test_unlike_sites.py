"""What a study does about unlike sites, on the pages: pulls, and layers that stay at a site."""

import pytest
from django.urls import reverse

from federation.selectors.used import OTHERS
from studies.services import events, studies
from tests.pages.filled import filled
from tests.pages.markup import Page
from tests.pages.scenes import opened
from tests.studies.conftest import approve_all
from tests.studies.protocols import small_protocol

OWN = {"architecture": "mlp", "parameters": {"hidden": [8]}, "personal_layers": 1}


@pytest.fixture
def submitted_with(cast, hospitals):
    def submit(**sections):
        study = studies.create(protocol=small_protocol(**sections), by=cast.ada)
        studies.submit(study, by=cast.ada)
        return study

    return submit


def page(client, name, *where):
    return client.get(reverse(name, args=where)).content.decode()


def test_who_approves_reads_which_layers_stay(submitted_with, cast, browse):
    kept, shared = submitted_with(model=OWN), submitted_with()
    carla = browse(cast.carla)
    said = "the last one is trained at your site and <strong>stay there</strong>"
    assert said in page(carla, "study-approve", kept.slug, "cleveland")
    assert said not in page(carla, "study-approve", shared.slug, "cleveland")


def test_the_protocols_page_names_both(submitted_with, cast, browse):
    study = submitted_with(model=OWN, training={"proximal": 0.25})
    html = page(browse(cast.ada), "study-protocol", study.slug)
    assert "Layers that stay at each site" in html
    assert "Pull to the round&#x27;s model (FedProx)</dt><dd>0.25" in html.replace("'", "&#x27;")
    plain = page(browse(cast.ada), "study-protocol", submitted_with().slug)
    assert "Layers that stay" not in plain
    assert "FedProx" not in plain


def test_a_revision_shows_them_as_changes(submitted_with, cast, browse):
    study = submitted_with(model=OWN | {"personal_layers": 0})
    changed = small_protocol(model=OWN, training={"proximal": 0.25})
    studies.revise(study, protocol=changed, by=cast.ada)
    html = page(browse(cast.ada), "study-protocol", study.slug)
    assert "<code>model.personal_layers</code>" in html
    assert "<code>training.proximal</code>" in html


def test_the_live_page_says_why_the_corrections_begin_anew(submitted_with, cast, browse):
    study = submitted_with()
    approve_all(study, cast)
    studies.start(study, by=cast.ada)
    opened(study, 1, "closed")
    opened(study, 2, "open")
    events.record("control_anew", study=study, round=2, attempt=1, reason=OTHERS)
    ada = browse(cast.ada)
    rounds = page(ada, "panel-rounds", study.slug)
    assert f"(SCAFFOLD) begin anew in this round: {OTHERS}." in rounds
    assert Page(rounds).all_faults() == []
    carla = page(browse(cast.carla), "panel-events", study.slug)
    assert "steps begin anew in round 2: the institutions that take part are not" in carla
    opened(study, 3, "open")
    assert "begin anew" not in page(ada, "panel-rounds", study.slug)


def test_public_rows_are_refused_beside_own_layers(cast, browse):
    protocol = small_protocol(model=OWN, evaluation={})
    sent = filled(protocol, **{"model-personal_layers": "2"})
    html = browse(cast.ada).post("/new-study/", sent, follow=True).content.decode()
    assert "this &#x27;mlp&#x27; has 2 with weights" in html
