"""Ledger and journals held against each other, over the site API: what differs stops the study."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from accounting.models import Differs, Entry, SiteDifference, SiteEntry, SiteStatement
from accounting.selectors import reconciliation as books
from accounting.selectors import tree
from accounting.services import differences, reconciliation
from accounting.services.hub_key import hub_key
from federation.protocol import messages
from federation.services import witnessing
from studies import triggers
from studies.models import Person
from studies.services import studies
from tests.federation.bookkeeping import EMPTY, Bookkeeper
from tests.federation.conftest import advance
from tests.federation.sites import error_of


@pytest.fixture(autouse=True)
def _signed_each_time(monkeypatch):
    """A checkpoint may be a second old; here each one shows the newest row."""
    monkeypatch.setattr(witnessing, "FRESH", timedelta(0))


@pytest.fixture
def keepers(sites, tmp_path: Path) -> dict[str, Bookkeeper]:
    return {slug: Bookkeeper.of(site, tmp_path) for slug, site in sites.items()}


@pytest.fixture
def zurich(keepers, study) -> Bookkeeper:
    return keepers["zurich"]


def play(study, keepers, rounds: int = 1) -> None:
    for _ in range(rounds):
        for keeper in keepers.values():
            keeper.work()
        advance(study)


def found() -> list[str]:
    return [row.what for row in SiteDifference.objects.order_by("id")]


def tampered(statement: str, *values: object) -> None:
    """What somebody with the database's password does."""
    triggers.remove(connection, ("accounting_entry",))
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
    triggers.install(connection, ("accounting_entry",))


# Agreement.


def test_a_whole_study_agrees_and_the_sums_are_equal(study, keepers):
    play(study, keepers, 3)  # train, train, evaluate
    ends = {slug: keeper.tell() for slug, keeper in keepers.items()}
    assert ends == dict.fromkeys(keepers, 9)
    assert (found(), study.status) == ([], "completed")
    sums = books.sums(study.slug)
    assert len(sums) == 6  # two prices at each of three institutions
    assert all(row.agrees and row.hub == row.site and not row.unread for row in sums)
    assert {row.hub for row in sums} == {8, 1}
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
    assert (found(), [row.agrees for row in books.sums(study.slug)]) == ([], [True])


def test_what_was_taken_and_never_begun_is_named_in_the_sums(study, zurich):
    assert zurich.take()
    zurich.tell()
    advance(study, later=61)
    assert found() == []
    row = books.sums(study.slug)[0]
    assert (row.hub, row.site, row.unread, row.agrees) == (4, 0, 4, True)


def test_a_refusal_before_access_agrees(study, zurich):
    task = zurich.take()
    zurich.site.refuse(task, messages.Reason.LIMIT_NOISE, accessed=False)
    zurich.tell()
    assert (found(), books.sums(study.slug)) == ([], [])


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


def test_only_the_site_itself_states(study, zurich, keepers):
    zurich.work()
    assert keepers["budapest"].send(zurich.statement()).status_code == 400


# Differences.


def stopped(study, what: str) -> SiteDifference:
    """The one difference, with its event and the held study."""
    study.refresh_from_db()
    assert found() == [what]
    row = SiteDifference.objects.get()
    event = study.events.get(kind="journal_mismatch")
    assert (event.institution.slug, event.payload["what"]) == (row.institution, what)
    assert study.status == "paused"
    assert "do not agree" in study.status_reason
    assert not any(character in study.status_reason for character in "ε=")  # nobody's figures
    return row


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


# Journals that are not the ones told before.


def begun_anew(keeper: Bookkeeper, tmp_path: Path) -> Bookkeeper:
    return Bookkeeper.of(keeper.site, tmp_path, "anew")


def test_a_fresh_folder_begins_an_empty_journal_and_that_is_a_difference(study, zurich, tmp_path):
    zurich.work()
    zurich.tell()
    fresh = begun_anew(zurich, tmp_path)
    answer = fresh.send(fresh.statement())
    assert answer.status_code == 409
    assert "page Journals" in error_of(answer)
    row = SiteDifference.objects.get()
    assert (row.what, row.hub["end"], row.site["end"]) == (Differs.REPLACED, "3", "0")
    study.refresh_from_db()
    assert study.status == "paused"
    assert fresh.send(fresh.statement()).status_code == 409  # until somebody explained it
    assert len(found()) == 1


def test_a_journal_rolled_back_from_a_backup(study, keepers, zurich, tmp_path):
    zurich.work()
    old = zurich.journal.head
    zurich.tell()
    rows = zurich.journal.since(1, 2)
    fresh = begun_anew(zurich, tmp_path)
    for row in rows:
        fresh.journal._insert(row)
    fresh.journal._head = (rows[-1].sequence, rows[-1].digest)
    fresh.clock = timedelta(seconds=1)
    assert fresh.send(fresh.statement()).status_code == 409
    assert old != fresh.journal.head
    assert found() == [Differs.REPLACED]


def test_a_journal_that_says_something_else_now(study, zurich, tmp_path):
    task = zurich.take()
    zurich.charge(task)
    zurich.tell()
    other = begun_anew(zurich, tmp_path)
    other.charge(task, lineage="another")
    other.release(task, "c" * 64)
    assert other.send(other.statement()).status_code == 409
    assert other.send(other.statement(first=2)).status_code == 409
    assert found() == [Differs.REPLACED]


@pytest.fixture
def carla() -> Person:
    return Person.objects.create(username="carla")


def test_an_explained_journal_begins_anew_and_the_old_rows_keep_counting(
    study, keepers, zurich, tmp_path, carla, lead
):
    for keeper in keepers.values():
        keeper.work()
    zurich.tell()
    fresh = begun_anew(zurich, tmp_path)
    fresh.send(fresh.statement())
    advance(study)
    assert studies.resume(study, by=lead).status == "running"
    advance(study)
    assert study.status == "paused"  # nothing opens before somebody said what happened
    differences.explain(SiteDifference.objects.get(), by=carla, reason="disk lost on Monday")
    event = study.events.model.objects.get(kind="journal_acknowledged")
    assert (event.by, event.payload["reason"]) == (carla, "disk lost on Monday")
    studies.resume(study, by=lead)
    advance(study)
    assert study.status == "running"
    fresh.work()
    assert fresh.tell() == 3
    assert len(found()) == 1
    assert {row.journal for row in SiteEntry.objects.all()} == {1, 2}
    mine = [row for row in books.sums(study.slug) if row.institution == "zurich"]
    assert [(row.hub, row.site) for row in mine] == [(8, 8)]


def test_explaining_needs_words_and_happens_once(study, zurich, carla):
    zurich.charge(zurich.take(), lineage="another")
    zurich.tell()
    row = SiteDifference.objects.get()
    with pytest.raises(differences.NotExplained, match="say what happened"):
        differences.explain(row, by=carla, reason=" ")
    differences.explain(row, by=carla, reason="a test")
    with pytest.raises(differences.NotExplained, match="already"):
        differences.explain(row, by=carla, reason="again")


def test_the_same_place_charged_in_two_journals(study, zurich, tmp_path, carla):
    task = zurich.take()
    zurich.charge(task)
    zurich.tell()
    fresh = begun_anew(zurich, tmp_path)
    fresh.send(fresh.statement())
    differences.explain(SiteDifference.objects.get(), by=carla, reason="a new machine")
    fresh.clock = timedelta(seconds=5)
    fresh.charge(task)
    fresh.tell()
    assert found()[1:] == [Differs.CHARGED_TWICE]


# By the clock.


def test_the_sweep_sees_what_was_changed_after_it_agreed(study, zurich):
    task = zurich.take()
    zurich.charge(task)
    zurich.tell()
    assert found() == []
    tampered("DELETE FROM accounting_entry WHERE kind = 'charged'")
    reconciliation.sweep()
    stopped(study, Differs.UNCHARGED)


def test_the_sweep_stops_what_was_resumed_too_early(study, zurich, lead):
    zurich.charge(zurich.take(), lineage="another")
    zurich.tell()
    study.refresh_from_db()
    studies.resume(study, by=lead)
    reconciliation.sweep()
    study.refresh_from_db()
    assert study.status == "paused"


def test_silence_is_told_once(study, zurich):
    zurich.work()
    later = timezone.now() + timedelta(minutes=11)
    reconciliation.sweep()
    assert not study.events.filter(kind="journal_silent").exists()
    for _ in range(2):
        reconciliation.sweep(now=later)
    assert study.events.filter(kind="journal_silent").count() == 1
    study.refresh_from_db()
    assert study.status == "running"  # silence is no contradiction


def test_who_has_told_is_not_silent(study, zurich):
    zurich.work()
    zurich.tell()
    reconciliation.sweep(now=timezone.now() + timedelta(minutes=11))
    assert not study.events.filter(kind="journal_silent").exists()


def test_a_crash_before_the_hold_opens_no_round_all_the_same(study, keepers, zurich, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(differences, "hold", lambda found: None)
        zurich.charge(zurich.take(), lineage="another")
        zurich.tell()
    study.refresh_from_db()
    assert study.status == "running"
    advance(study, later=61)
    assert study.rounds.count() == 1
    assert study.status == "paused"


def test_the_newest_statement_of_each_site_is_a_witness(study, keepers, zurich):
    for keeper in keepers.values():
        keeper.work()
        keeper.tell()
    rows = books.witnesses()
    assert [row["institution"] for row in rows] == sorted(keepers)
    for row in rows:
        keeper = keepers[row["institution"]]
        stated = messages.open_envelope(row["envelope"].encode(), row["key"], messages.Statement)
        assert stated.checkpoint == keeper.checkpoint != EMPTY
        assert tree.root(stated.checkpoint["size"]) == stated.checkpoint["root"]
