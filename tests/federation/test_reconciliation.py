"""Ledger and journals held against each other: what agrees, what differs and stops a study."""

import json

import pytest

from accounting.models import Differs, Entry, SiteDifference, SiteEntry, SiteStatement
from accounting.selectors import reconciliation as books
from accounting.selectors import tree
from accounting.services import reconciliation
from accounting.services.hub_key import hub_key
from federation.protocol import messages
from federation.protocol.journal_rows import sealed
from tests.federation.bookkeeping import found, stopped, tampered
from tests.federation.conftest import advance, kinds
from tests.federation.sites import error_of
from tests.federation.sums import sums


def play(study, keepers, rounds: int = 1) -> None:
    for _ in range(rounds):
        for keeper in keepers.values():
            keeper.work()
        advance(study)


# Agreement.


def test_a_whole_study_agrees_and_the_sums_are_equal(study, keepers):
    play(study, keepers, 3)  # train, train, evaluate
    ends = {slug: keeper.tell() for slug, keeper in keepers.items()}
    assert ends == dict.fromkeys(keepers, 9)
    assert (found(), study.status) == ([], "completed")
    rows = sums(study.slug)
    assert len(rows) == 6  # two prices at each of three institutions
    assert all(row.agrees and row.hub == row.site and not row.unread for row in rows)
    assert {row.hub for row in rows} == {8, 1}
    houses = [keeper.site.institution for keeper in keepers.values()]
    assert {state.verdict for state in books.states(houses)} == {"agreed"}


def test_every_way_from_taking_to_the_end_is_legal(study, zurich):
    task = zurich.take()
    for step in (
        lambda: None,
        lambda: zurich.charge(task),
        lambda: zurich.release(task, "c" * 64),
    ):
        step()
        zurich.tell()
    assert found() == []
    advance(study, later=61)  # taken and never answered: lost, and it stays charged
    zurich.tell()
    assert (found(), [row.agrees for row in sums(study.slug)]) == ([], [True])


def test_what_was_taken_and_never_begun_is_named_in_the_sums(study, zurich):
    assert zurich.take()
    zurich.tell()
    advance(study, later=61)
    assert found() == []
    row = sums(study.slug)[0]
    assert (row.hub, row.site, row.unread, row.agrees) == (4, 0, 4, True)


def test_a_refusal_before_access_agrees(study, zurich):
    task = zurich.take()
    zurich.site.refuse(task, messages.Reason.LIMIT_NOISE, accessed=False)
    zurich.tell()
    assert (found(), sums(study.slug)) == ([], [])


# Order, repetition, size.


def test_duplicates_and_late_statements_change_nothing(study, zurich):
    early = zurich.statement()
    zurich.work()
    late = zurich.statement()
    assert zurich.tell() == 3
    rows = (SiteEntry.objects.count(), SiteStatement.objects.count())
    for envelope in (late, early, late, early):
        assert zurich.send(envelope).json() == {"sequence": 3}
    assert (SiteEntry.objects.count(), SiteStatement.objects.count()) == rows
    assert (found(), study.status) == ([], "running")


def test_a_gap_is_answered_with_where_to_begin(study, zurich):
    zurich.work()
    assert zurich.tell(first=2) == 0
    assert SiteEntry.objects.count() == 0
    assert zurich.tell(first=4) == 0  # only its end
    assert zurich.tell() == 3


def test_a_journal_is_told_in_parts(study, zurich):
    zurich.work()
    sequences = [
        zurich.send(zurich.statement(first, most=1)).json()["sequence"] for first in (1, 2, 3)
    ]
    assert sequences == [1, 2, 3]
    assert [row.complete for row in SiteStatement.objects.order_by("id")] == [False, False, True]
    assert found() == []


def test_overlapping_parts_are_welcome(study, zurich):
    zurich.work()
    zurich.send(zurich.statement(1, most=2))
    assert zurich.tell(first=1) == 3
    assert SiteEntry.objects.count() == 3


# Refused.


def test_a_forged_statement_is_not_taken(study, zurich, keepers):
    zurich.work()
    other = keepers["budapest"].site.key
    message = messages.open_envelope(zurich.statement(), zurich.site.key.public, messages.Statement)
    forged = zurich.send(messages.sign(message, other))
    assert (forged.status_code, "another key" in error_of(forged)) == (400, True)
    truncated = zurich.send(zurich.statement()[:-40])
    assert truncated.status_code == 400
    foreign = zurich.send(zurich.statement(site="budapest"))
    assert "another site's" in error_of(foreign)
    assert SiteEntry.objects.count() == 0


def test_a_statement_without_a_row_in_between_is_not_taken(study, zurich):
    zurich.work()
    document = json.loads(json.loads(zurich.statement())["message"])
    del document["entries"][1]
    with pytest.raises(messages.MessageError, match="does not follow"):
        messages.Statement.from_json(document)


def test_a_charge_of_nothing_is_not_taken(study, zurich):
    """Its digest fits; but a charge without an event is no charge, and not booked as one."""
    zurich.charge(zurich.take())
    statement = messages.Statement.from_json(json.loads(json.loads(zurich.statement())["message"]))
    (row,) = statement.entries
    row |= {"event": "", "round": 2}
    row["digest"] = statement.journal["digest"] = sealed(row)
    response = zurich.send(messages.sign(statement, zurich.site.key))
    assert response.status_code == 400
    assert b"says what it charges" in response.content
    assert kinds(study, "zurich") == ["reserved", "charged"]


def test_only_the_site_itself_states(study, zurich, keepers):
    zurich.work()
    assert keepers["budapest"].send(zurich.statement()).status_code == 400


# Differences.


def test_a_hub_that_lost_a_charge(study, zurich):
    task = zurich.take()
    zurich.charge(task)
    tampered("DELETE FROM accounting_entry WHERE kind = 'charged'")
    zurich.tell()
    assert found() == [Differs.CHECKPOINT, Differs.UNCHARGED]  # the site witnessed that row
    study.refresh_from_db()
    assert study.status == "paused"
    row = SiteDifference.objects.get(what=Differs.UNCHARGED)
    assert (row.round, row.phase) == (1, "train")
    assert row.hub["rows"] == "reserved"
    assert row.site["rows"] == "charged"
    assert row.hub["event"] == row.site["event"]


def test_a_charge_the_hub_gave_back(study, zurich):
    task = zurich.take()
    zurich.site.refuse(task, messages.Reason.CANCELLED, accessed=False)
    zurich.charge(task)
    zurich.tell()
    assert stopped(study, Differs.UNCHARGED).hub["rows"] == "reserved, charged, aborted"


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("event", {"event": {"noise_multiplier": "1.5"}}),
        ("event", {"event": {"steps": 9}}),
        ("lineage", {"lineage": "another"}),
        ("protocol_digest", {"protocol_digest": "f" * 64}),
    ],
)
def test_another_charge_than_the_hubs(study, zurich, field, change):
    zurich.charge(zurich.take(), **change)
    zurich.tell()
    row = stopped(study, Differs.OTHER_CHARGE)
    assert row.hub[field] != row.site[field]


def test_another_release_than_the_hub_received(study, zurich):
    task = zurich.take()
    place = zurich.charge(task)
    zurich.release(task, "c" * 64)
    data_of = zurich.site.contribute
    answer = zurich.site.contribution
    object.__setattr__(zurich.site, "contribution", lambda t, d: answer(t, d, journal=place))
    assert data_of(task).json()["accepted"]
    zurich.tell()
    row = stopped(study, Differs.OTHER_RELEASE)
    assert row.site["tensors_digest"] == "c" * 64 != row.hub["tensors_digest"]


def test_a_release_under_a_charge_that_the_journal_does_not_have(study, zurich):
    task = zurich.take()
    zurich.charge(task)
    assert zurich.site.contribute(task).json()["accepted"]  # says "ab…" of its journal
    zurich.release(task, Entry.objects.get(kind="released").body.split('tensors_digest":"')[1][:64])
    zurich.tell()
    row = stopped(study, Differs.OTHER_CHARGE)
    assert row.hub["charge"] == "ab" * 32


def test_a_release_that_the_site_does_not_know(study, keepers, zurich):
    for slug, keeper in keepers.items():
        keeper.work(known=slug != "zurich")
    zurich.tell()
    assert found() == []  # told before it saw the release in the ledger: it may be on its way
    advance(study)
    zurich.charge(zurich.take())
    zurich.tell()
    assert stopped(study, Differs.UNRELEASED).round == 1


def test_another_ledger_than_the_hubs(study, zurich):
    zurich.work()
    zurich.checkpoint = {"size": zurich.checkpoint["size"], "root": "d" * 64}
    zurich.tell()
    row = SiteDifference.objects.get()
    assert (row.what, row.study) == (Differs.CHECKPOINT, "")
    assert row.site["root"] == "d" * 64
    assert row.hub["signed at that size"] == tree.root(int(row.site["entries seen"]))
    study.refresh_from_db()
    assert study.status == "paused"
    assert json.loads(row.evidence)["signature"]


def test_a_larger_ledger_than_the_hub_has(study, zurich):
    zurich.checkpoint = {"size": 10**6, "root": "d" * 64}
    zurich.tell()
    assert found() == [Differs.CHECKPOINT]


def test_a_difference_is_told_once(study, zurich):
    zurich.charge(zurich.take(), lineage="another")
    zurich.tell()
    zurich.release(messages_task(study), "c" * 64)
    zurich.tell()
    reconciliation.sweep()
    assert len(found()) == 1
    assert study.events.filter(kind="journal_mismatch").count() == 1


def messages_task(study):
    row = study.rounds.get().assignments.get(institution__slug="zurich")
    return messages.open_envelope(bytes(row.message), hub_key().public, messages.Assignment)
