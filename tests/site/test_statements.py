"""What the site tells of its journal, when, and that telling never costs a round."""

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from federation.protocol.messages import MAX_BYTES, sign
from federation.site import statements
from federation.site.assembly import Site
from federation.site.folder import Folder
from federation.site.transport.receiving import WAIT_SECONDS
from tests.site.conftest import model, study
from tests.site.hub import Hub
from tests.site.playing import answer_of, kinds, play_one

PROTOCOL = study()


@pytest.fixture(autouse=True)
def _approved(hub: Hub) -> None:
    hub.approve(PROTOCOL)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock, moved by the test."""
    at = [1000.0]
    monkeypatch.setattr(statements.time, "monotonic", lambda: at[0])
    return at


def told(hub: Hub) -> list[str]:
    return [row["kind"] for row in hub.journal]


def test_an_empty_journal_is_told_at_first_contact(site: Site, hub: Hub) -> None:
    site.statements.arrived()
    statement = hub.statements[0]
    assert (statement.first, statement.entries, statement.site) == (1, [], "north")
    assert (statement.checkpoint["size"], site.statements.waiting) == (0, False)


def test_it_holds_what_the_hub_may_know_and_no_more(site: Site, hub: Hub) -> None:
    answer_of(site, hub, PROTOCOL, 1)
    site.statements.tell()
    rows = hub.statements[-1].entries
    assert [row["kind"] for row in rows] == kinds(site)
    assert {len(row["at"]) for row in rows} == {len("2026-01-31T12:00:00+00:00")}  # whole seconds
    assert hub.statements[-1].checkpoint["size"] == site.parts.witness.size == 1
    assert not any(word in str(rows) for word in ("loss", "heart.csv", "disease", "count"))


def test_rounds_in_quick_succession_are_told_together(
    site: Site, hub: Hub, now: list[float]
) -> None:
    site.statements.arrived()
    for number in (1, 2, 3):
        answer_of(site, hub, PROTOCOL, number)
        assert site.statements.between() == statements.GATHER_SECONDS  # the poll waits no longer
        now[0] += 0.1
    assert len(hub.statements) == 1
    now[0] += statements.GATHER_SECONDS
    assert site.statements.between() == WAIT_SECONDS
    assert len(hub.statements) == 2
    assert told(hub) == kinds(site)


def test_after_a_restart_the_hub_says_where_it_stands(
    site: Site, hub: Hub, folder: Folder, assembled: Callable[[Folder], Site]
) -> None:
    answer_of(site, hub, PROTOCOL, 1)
    site.statements.tell()
    answer_of(site, hub, PROTOCOL, 2)
    again = assembled(folder)
    again.statements.arrived()
    assert [len(s.entries) for s in hub.statements[-2:]] == [0, 3]
    assert told(hub) == kinds(site)


def test_a_hub_that_lost_rows_is_told_them_again(site: Site, hub: Hub) -> None:
    for number in (1, 2):
        answer_of(site, hub, PROTOCOL, number)
        site.statements.tell()
    del hub.journal[2:]
    site.statements.arrived()
    assert told(hub) == kinds(site)


def test_a_long_journal_is_told_in_batches(
    site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch, now: list[float]
) -> None:
    monkeypatch.setattr(statements, "BATCH", 2)
    monkeypatch.setattr(statements, "BATCHES", 2)
    for number in (1, 2, 3):
        answer_of(site, hub, PROTOCOL, number)
    site.statements.arrived()
    assert len(hub.journal) == 2  # one batch to ask, one to tell: then the hub may have work
    for _ in range(3):
        now[0] += statements.GATHER_SECONDS
        site.statements.between()
        now[0] += statements.GATHER_SECONDS
        site.statements.between()
    assert told(hub) == kinds(site)


@pytest.mark.parametrize(("status", "event"), [(404, True), (409, True), (403, True), (503, False)])
def test_a_hub_that_does_not_listen_costs_nothing(
    site: Site, hub: Hub, status: int, event: bool, now: list[float]
) -> None:
    hub.fail_with["PUT journal"] = status
    with capture_logs() as logs:
        site.statements.arrived()
        site.statements.tell()
    said = [row for row in logs if row["event"] == "journal_not_taken"]
    assert len(said) == int(event)  # one line, however often it happens
    assert play_one(site, hub, hub.assign(PROTOCOL, model()))
    before = len(hub.seen)
    assert site.statements.between() > 1
    assert len(hub.seen) == before  # not asked again at once
    del hub.fail_with["PUT journal"]
    now[0] += statements.REFUSED_SECONDS
    site.statements.between()
    assert told(hub) == kinds(site)


def test_what_the_hub_wrote_last_is_witnessed_too(site: Site, hub: Hub, now: list[float]) -> None:
    answer_of(site, hub, PROTOCOL, 1)
    hub.ledger.append(b"released")
    assert site.statements.between() > 0
    now[0] += statements.GATHER_SECONDS
    site.statements.between()
    assert hub.statements[-1].checkpoint["size"] == site.parts.witness.size == 2


def test_a_rewritten_ledger_is_seen_between_rounds_and_the_next_is_refused(
    site: Site, hub: Hub, now: list[float]
) -> None:
    answer_of(site, hub, PROTOCOL, 1)
    hub.ledger[0] = b"rewritten"
    site.statements.between()
    now[0] += statements.GATHER_SECONDS
    site.statements.between()
    assert told(hub) == kinds(site)  # the journal is told all the same
    assert answer_of(site, hub, PROTOCOL, 2).reason == "ledger_forked"


def test_a_statement_stays_small_enough(site: Site, hub: Hub) -> None:
    for number in (1, 2, 3):
        answer_of(site, hub, PROTOCOL, number)
    site.statements.tell()
    size = len(sign(hub.statements[-1], hub.key)) / len(hub.journal)
    assert size * statements.BATCH < hub.statements[-1].max_bytes
    assert hub.statements[-1].max_bytes > MAX_BYTES


def test_between_requests_it_tells_nothing_again(site: Site, hub: Hub) -> None:
    answer_of(site, hub, PROTOCOL, 1)
    site.statements.tell()
    told = len(hub.statements)
    for _ in range(100):
        site.statements.between()
    assert len(hub.statements) == told
