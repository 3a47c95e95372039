"""An audit on the pages: asked for in the form, warned of, approved, and its result shown."""

import pytest
from django.urls import reverse

from accounting.dp.audit import measure
from accounting.dp.figures import Figure
from accounting.selectors import shown
from accounting.services import auditing
from federation.protocol.audit import Coins
from studies.models import Study
from studies.services import events, studies
from tests.pages.filled import filled
from tests.studies.conftest import approve_all
from tests.studies.protocols import small_protocol

COINS = Coins("01" * 20, b"s" * 32)
ALL_RIGHT = measure(list(map(float, COINS.values)), COINS.values, 1e-5)


@pytest.fixture
def audited(cast, hospitals) -> Study:
    """A running study of two hospitals with 40 canaries at each."""
    study = studies.create(protocol=small_protocol(audit={"canaries": 40}), by=cast.ada)
    studies.submit(study, by=cast.ada)
    approve_all(study, cast)
    return studies.start(study, by=cast.ada)


@pytest.fixture
def panel(audited, browse):
    def fetch(who):
        return browse(who).get(reverse("panel-audit", args=(audited.slug,))).content.decode()

    return fetch


def place(study: Study, slug: str) -> auditing.Place:
    return auditing.Place(study.slug, slug, "heart", study.protocol_digest)


def reveal(study: Study, slug: str, epsilon: float) -> None:
    """All guesses right, beside a derived ε of the test's choice."""
    auditing.commit(place(study, slug), COINS.commitment.hex())
    figure = Figure(epsilon, 1e-5, "pld", "test", "test")
    result = auditing.result_json(ALL_RIGHT, figure)
    auditing.reveal(place(study, slug), coins=COINS.flips, salt=COINS.salt.hex(), result=result)


def test_the_form_asks_and_warns_of_too_many(cast, browse):
    ada = browse(cast.ada)
    few = ada.post("/new-study/", filled(small_protocol(audit={"canaries": 10})), follow=True)
    assert "10 canaries at each site" in few.content.decode()
    assert "expect less utility" not in few.content.decode()
    many = ada.post("/new-study/", filled(small_protocol(audit={"canaries": 60})), follow=True)
    assert many.content.decode().count("expect less utility") == 2  # said once, and on the page


def test_who_approves_reads_what_a_canary_is(cast, browse, hospitals):
    study = studies.create(protocol=small_protocol(audit={"canaries": 40}), by=cast.ada)
    studies.submit(study, by=cast.ada)
    page = browse(cast.carla).get(reverse("study-approve", args=(study.slug, "cleveland")))
    assert "40 secret coins" in page.content.decode()


def test_the_study_page_has_the_panel_only_where_there_is_an_audit(audited, running, cast, browse):
    ada = browse(cast.ada)
    assert "panel-audit" in ada.get(reverse("study", args=(audited.slug,))).content.decode()
    assert "panel-audit" not in ada.get(reverse("study", args=(running.slug,))).content.decode()


def test_before_and_after_the_commitment(audited, panel, cast):
    assert "Not yet bound" in panel(cast.ada)
    auditing.commit(place(audited, "cleveland"), COINS.commitment.hex())
    html = panel(cast.ada)
    assert "Bound to its coins" in html
    assert COINS.commitment.hex()[:12] in html


def test_the_bound_stands_beside_the_ledgers_epsilon(audited, panel, cast):
    reveal(audited, "cleveland", 4.5)
    html = panel(cast.ada)
    assert "Measured" in html
    assert f'<td class="num">{shown.down(ALL_RIGHT.lower)}</td>' in html
    assert "4.500" in html
    assert "40 of 40" in html
    assert "δ = 1e-05 · PLD accountant · per row · this study, this institution" in html


def test_a_refuted_epsilon_is_said_in_red(audited, panel, cast):
    reveal(audited, "cleveland", 0.5)
    html = panel(cast.ada)
    assert "Above the ledger" in html
    assert "status-bad" in html


def test_who_is_not_audited_is_never_left_out(audited, panel, hospitals, cast):
    reason = "did not reveal its coins (lost: no answer before the deadline)"
    events.record("audit_missing", study=audited, institution=hospitals.budapest, reason=reason)
    html = panel(cast.ada)
    assert "Not audited" in html
    assert reason in html
    studies.withdraw(audited, by=cast.ada)
    assert "the study ended before its coins were revealed" in panel(cast.ada)


def test_a_site_admin_sees_only_the_own_house(panel, cast):
    assert "Cleveland" in panel(cast.carla)
    assert "Budapest" not in panel(cast.carla)


def test_a_study_without_audit_says_so(running, cast, browse):
    page = browse(cast.ada).get(reverse("panel-audit", args=(running.slug,)))
    assert "This protocol has no canaries" in page.content.decode()
