"""Journals that are not the ones told before, and what is looked at by the clock."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from accounting.models import Differs, SiteDifference, SiteEntry
from accounting.selectors import reconciliation as books
from accounting.selectors import tree
from accounting.services import differences, reconciliation
from federation.protocol import messages
from studies.models import Event, Person, Role
from studies.selectors import alerting as alerts
from studies.services import alerting, explanations, people, studies, subscriptions
from tests.federation.bookkeeping import EMPTY, Bookkeeper, found, stopped, tampered
from tests.federation.conftest import advance
from tests.federation.sites import error_of
from tests.federation.sums import sums

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
    mine = [row for row in sums(study.slug) if row.institution == "zurich"]
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


def test_silence_is_a_violation_to_deliver_and_to_explain(study, zurich, mailoutbox):
    officer = Person.objects.create(username="olga")
    people.grant(officer, Role.COMPLIANCE_OFFICER)
    subscriptions.subscribe(officer, "email", "olga@example.org", "notice")
    zurich.work()
    reconciliation.sweep(now=timezone.now() + timedelta(minutes=11))
    (row,) = alerts.shown(alerts.unexplained(officer), 9)
    assert (row.line.kind, row.severity) == ("journal_silent", "notice")
    assert "1 result came and no word of the journal since (never heard)" in row.line.text
    assert alerting.sweep() == 1
    assert "ask the site's admin" in " ".join(mailoutbox[0].body.split())
    explanations.explain(Event.objects.get(pk=row.line.id), "Its disk was full.", by=officer)
    reconciliation.sweep(now=timezone.now() + timedelta(minutes=12))
    assert not alerts.unexplained(officer).exists()
    (row,) = alerts.shown(alerts.alerts_for(officer), 9)
    assert row.explanation.text == "Its disk was full."


def test_a_new_silence_after_a_word_is_told_anew(study, zurich, keepers):
    zurich.work()
    reconciliation.sweep(now=timezone.now() + timedelta(minutes=11))
    zurich.tell()
    for slug in ("budapest", "cleveland"):
        keepers[slug].work()
    advance(study)
    zurich.work()
    reconciliation.sweep(now=timezone.now() + timedelta(minutes=11))
    told = study.events.filter(kind="journal_silent", institution=zurich.site.institution)
    assert told.count() == 2
    assert "(last heard 20" in told.last().payload["reason"]


def test_silence_is_told_of_a_study_that_has_ended(study, zurich, lead):
    zurich.work()
    studies.withdraw(study, by=lead)
    reconciliation.sweep(now=timezone.now() + timedelta(minutes=11))
    assert study.events.filter(kind="journal_silent").count() == 1


def test_but_not_for_ever(study, zurich, lead):
    zurich.work()
    studies.withdraw(study, by=lead)
    reconciliation.sweep(now=timezone.now() + timedelta(days=2))
    assert not study.events.filter(kind="journal_silent").exists()


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
