"""A charge without an ε costs infinity: nothing more is spent of its dataset, in any study."""

import pytest

from accounting.dp.events import PrivacyEvent
from accounting.keys import Key, Limit, Reservation
from accounting.refusals import NoBound
from accounting.reports import build
from accounting.reports.scopes import Scope
from accounting.selectors import claims, lending, overview, spending
from accounting.services import ledger, reconciliation
from studies.models import Institution
from tests.federation.conftest import kinds

pytestmark = pytest.mark.django_db
CHANGES = ({"noise_multiplier": "0.001"}, {"unit": "patient"})
LIMIT = Limit(20.0, 1e-3)


@pytest.fixture(params=CHANGES, ids=str)
def task(request, study, zurich):
    """Zurich charged what cannot be booked."""
    task = zurich.take()
    zurich.charge(task, event=request.param)
    zurich.tell()
    assert kinds(study, "zurich") == ["reserved", "charged"]
    return task


def reserve(task, lineage: str = "heart-1988", institution: str = "zurich"):
    key = Key("another", institution, lineage, 1, 1, "train")
    return ledger.reserve_all([Reservation(key, event_of(task), "f" * 64, LIMIT)])


def event_of(task) -> PrivacyEvent:
    return PrivacyEvent.from_json(task.parameters["event"])


def test_no_study_spends_of_the_dataset(task):
    with pytest.raises(NoBound, match=r"heart-1988 at zurich has no bound.*another lineage") as no:
        reserve(task)
    assert "charges" not in no.value.public  # what another study did is its own people's to read
    reconciliation.sweep()
    with pytest.raises(NoBound):
        reserve(task)


def test_no_study_commits_to_it(task):
    with pytest.raises(NoBound):
        ledger.seal(
            study="another",
            institution="zurich",
            lineage="heart-1988",
            plan_events=[task.parameters["event"]],
            protocol_digest="f" * 64,
            unit="row",
            study_limit=LIMIT,
        )


def test_other_datasets_go_on(task):
    slug = Institution.objects.exclude(slug="zurich").order_by("slug").first().slug
    assert reserve(task, institution=slug)


def test_its_figure_is_no_bound_and_nothing_is_left(task):
    left = spending.remaining("zurich", "heart-1988")
    assert (left.figure.shown(), left.shown_spent, left.shown_left) == ("∞", "no bound", "0.000")
    assert left.exhausted
    assert "no bound" in left.odometer
    (row,) = lending.prospects("another", "zurich", (event_of(task),))
    assert (row.fits, row.before.shown()) == (False, "∞")
    assert "another lineage" in row.conflict


def test_no_report_claims_less(task, study):
    for scope in (Scope(study.slug), Scope(institution="zurich"), Scope()):
        with pytest.raises(NoBound):
            build.preview(scope)
    other = Institution.objects.exclude(slug="zurich").order_by("slug").first().slug
    assert build.preview(Scope(institution=other)).document


def test_the_studys_own_figure_has_no_bound(task, study):
    losses = overview.losses(study, Institution.objects.order_by("slug"))
    shown = {loss.institution.slug: (loss.figure.shown(), loss.shown_left) for loss in losses}
    assert shown.pop("zurich") == ("∞", "0.000")
    assert all(figure != "∞" for figure, _ in shown.values())


def test_whoever_asks_what_may_be_claimed_is_told_so(task, study):
    """The model card and the summary of a simulation ask there, too."""
    books = claims.of(study.slug)
    for claim in (books.study(study.slug, slug, LIMIT) for slug in ("zurich", "budapest")):
        endless = claim.claimed.shown() == "∞"
        assert endless == (claim.spent.shown() == "∞")
    assert books.study(study.slug, "zurich", LIMIT).claimed.shown() == "∞"
    assert books.study(study.slug, "budapest", LIMIT).claimed.shown() != "∞"
