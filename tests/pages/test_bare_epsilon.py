"""No page shows an ε without its δ, accountant, unit and scope beside it, as it is rendered."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounting.dp.audit import measure
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.keys import Key, Limit
from accounting.models import DatasetBudget, RaiseRequest
from accounting.reports.scopes import Scope
from accounting.services import auditing as audit_rows
from accounting.services import ledger, reports
from federation.protocol.audit import Coins
from federation.services import auditing
from studies.models import Study
from studies.services import studies
from tests.accounting import moves
from tests.pages.bare import bare, figures
from tests.studies.conftest import approve_all
from tests.studies.protocols import small_protocol

COINS = Coins("01" * 20, b"s" * 32)
LIMIT = Limit(1.5, 1e-3)
HOUSES = ("budapest", "cleveland")


@pytest.fixture
def priced(cast, hospitals) -> Study:
    """An audited study that spent, an odometer on the same data, a raise that waits, a report."""
    study = studies.create(protocol=small_protocol(audit={"canaries": 40}), by=cast.ada)
    studies.submit(study, by=cast.ada)
    approve_all(study, cast)
    study = studies.start(study, by=cast.ada)
    places = [
        audit_rows.Place(study.slug, slug, "heart-1988", study.protocol_digest) for slug in HOUSES
    ]
    for place in places:
        audit_rows.commit(place, COINS.commitment.hex())
    for name in (study.slug, "another"):
        spend(name, study.protocol_digest)
    for place, house in zip(places, (hospitals.budapest, hospitals.cleveland), strict=True):
        reveal(study, place, house)
    asked = {"institution": "cleveland", "lineage": "heart-1988", "before": "3", "epsilon": "4"}
    RaiseRequest.objects.create(
        **asked,
        reason="more",
        proposed_by=cast.carla,
        proposed_at=timezone.now() - timedelta(minutes=1),
    )
    return study


def spend(study: str, digest: str) -> None:
    event = PrivacyEvent(Mechanism.POISSON_GAUSSIAN, 4.0, 0.1, 2, 0.5, 30.0, unit="row")
    keys = [Key(study, slug, "heart-1988", 1, 1, "train") for slug in HOUSES]
    ledger.reserve_all([ledger.Reservation(key, event, digest, LIMIT) for key in keys])
    for key in keys:
        ledger.charge(key)
        moves.release(key, "c" * 64)


def reveal(study: Study, place: audit_rows.Place, house) -> None:
    measured = measure(list(map(float, COINS.values)), COINS.values, 1e-5)
    figure = audit_rows.spent(place, 1e-5)
    finding = auditing.Finding(house, place, COINS, measured, figure)
    audit_rows.reveal(place, coins=COINS.flips, salt=COINS.salt.hex(), result=finding.result)
    auditing._tell(study, finding)


STUDY_PAGES = ("study", "panel-budget", "panel-audit", "ledger-study", "report", "study-protocol")


def looked_at(client, address: str) -> int:
    answer = client.get(address)
    assert answer.status_code == 200
    html = answer.content.decode()
    assert bare(html) == []
    return figures(html)


@pytest.mark.parametrize("name", STUDY_PAGES)
def test_of_a_study(name, priced, cast, browse):
    seen = [looked_at(browse(who), reverse(name, args=[priced.slug])) for who in (cast.olga,)]
    assert sum(seen) or name in ("study", "study-protocol")


def test_of_the_ledger_and_its_raises(priced, cast, browse):
    assert looked_at(browse(cast.olga), reverse("ledger")) > 3
    decide = reverse("raise-decide", args=[RaiseRequest.objects.get().pk])
    assert looked_at(browse(cast.otto), decide)


@pytest.mark.parametrize(
    "scope", [Scope(institution="cleveland"), Scope(), Scope("heart-disease", "cleveland")]
)
def test_of_a_report(scope, priced, cast, browse):
    assert looked_at(browse(cast.olga), f"{reverse('report-show')}?{scope.text}")


def test_of_an_issued_report(priced, cast, browse):
    row = reports.issue(Scope(institution="cleveland"), second_opinion=False)
    assert looked_at(browse(cast.olga), reverse("issued-report", args=[row.sha256]))


def test_of_a_house_and_of_what_is_lent(priced, cast, browse):
    carla = browse(cast.carla)
    assert looked_at(carla, reverse("panel-house", args=["cleveland"]))
    assert looked_at(carla, reverse("panel-lending", args=[priced.slug, "cleveland"]))


def test_of_what_a_site_admin_approves(submitted, cast, browse):
    carla = browse(cast.carla)
    assert looked_at(carla, reverse("study-approve", args=[submitted.slug, "cleveland"]))


def test_of_a_budget_that_is_lowered_or_raised(priced, cast, browse):
    RaiseRequest.objects.all().delete()
    row = DatasetBudget.objects.get(institution="cleveland")
    for name in ("budget-lower", "budget-raise"):
        assert looked_at(browse(cast.carla), reverse(name, args=[row.pk]))


def test_of_the_home_page_and_its_panels(priced, cast, browse):
    for who in (cast.olga, cast.carla, cast.ada):
        looked_at(browse(who), reverse("panel-home"))
    looked_at(browse(cast.olga), reverse("panel-verdict"))


@pytest.mark.parametrize(
    ("html", "lacks"),
    [
        ("<p>spent ε = 0.7</p>", "δ, accountant, unit, scope"),
        ("<p>ε = 0.7 (δ = 0.001, PLD accountant, per row)</p>", "scope"),
        ("<ul><li>The audit shows ε ≥ 0.3</li><li>δ = 1, PLD, per row, study</li></ul>", "δ"),
        ("<section><p>δ = 1, PLD, per row, this study</p><p>ε = 1.2</p></section>", "δ"),
        (
            "<section><h2>PLD, per row, study</h2><table><thead><tr><th>Who</th><th>ε</th></tr>"
            "</thead><tbody><tr><td>a</td><td>0.7</td></tr></tbody></table></section>",
            "δ",
        ),
    ],
)
def test_a_bare_one_is_found(html, lacks):
    (fault,) = bare(html)
    assert lacks in fault


@pytest.mark.parametrize(
    "html",
    [
        "<p>ε = 0.7 (δ = 0.001 · PLD accountant · per row · this study)</p>",
        "<section><p>δ = 1, PLD, per row, this study</p><table><thead><tr><th>ε</th></tr></thead>"
        "<tbody><tr><td>0.7</td></tr></tbody></table></section>",
        "<p>ε is composed, never added up.</p><script>ε = 1</script>",
    ],
)
def test_one_with_its_terms_is_not(html):
    assert bare(html) == []
