"""A study's report tells of a site's journal what is about that study, and nothing more."""

import pytest

from accounting.models import Differs, SiteDifference, SiteEntry
from accounting.reports import build
from accounting.reports.scopes import Scope
from accounting.services import checkpoints
from tests.federation.conftest import advance


@pytest.fixture
def two(start, keepers):
    """Two studies; the first ran one round, the second only began; every journal is told."""
    first = advance(start())
    for keeper in keepers.values():
        keeper.work()
        keeper.tell()
    before = witness(first)
    second = advance(start(name="Second"))
    for keeper in keepers.values():
        keeper.charge(keeper.take())
        keeper.tell()
    return first, second, before


def witness(study, house: str = "zurich") -> dict:
    scope = Scope(study=study.slug)
    document = build.compose(build.gather(scope), checkpoints.issue())
    rows = document["integrity"]["witnesses"]["institutions"]
    return next(row for row in rows if row["institution"] == house)


def test_the_length_and_head_are_those_of_the_studys_rows(two):
    for study in two[:2]:
        rows = SiteEntry.objects.filter(institution="zurich", study=study.slug)
        told = witness(study)["statement"]
        assert told["journal_entries"] == rows.count() > 0
        assert told["journal_head"] == rows.last().digest
    assert SiteEntry.objects.filter(institution="zurich").count() > rows.count()


def test_what_the_house_does_elsewhere_changes_nothing(two):
    first, _, before = two
    assert witness(first) == before


def difference(study: str, what: Differs) -> None:
    SiteDifference.objects.create(
        key=f"zurich/{study}/{what}",
        institution="zurich",
        study=study,
        what=what,
        hub={},
        site={},
        found_at="2026-11-21T12:00:00Z",
    )


def test_differences_of_other_studies_are_not_counted(two):
    first, second, _ = two
    difference(second.slug, Differs.OTHER_RELEASE)
    assert (witness(first)["differences"], witness(first)["verdict"]) == (0, "agreed")
    assert (witness(second)["differences"], witness(second)["verdict"]) == (1, "differs")


def test_a_difference_of_the_whole_journal_concerns_every_study(two):
    difference("", Differs.REPLACED)
    assert {witness(study)["verdict"] for study in two[:2]} == {"differs"}
