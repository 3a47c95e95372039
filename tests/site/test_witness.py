"""A hub that rewrites its ledger is caught: refused from then on, with the proof kept."""

import io
import json
import sqlite3
from collections.abc import Callable
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from accounting.log import merkle
from federation.protocol.keys import SigningKey
from federation.protocol.messages import Contribution, Reason, Refusal
from federation.site.assembly import Site
from federation.site.check import check
from federation.site.cli import main
from federation.site.folder import Folder
from federation.site.journal import JournalFull
from federation.site.transport.client import Answer
from federation.site.transport.receiving import LEDGER_CHECKPOINT, Delivery, _ledger
from federation.site.witness import LedgerForked, Verdict, Witness, read, read_sightings
from tests.site.conftest import Clock, model, study
from tests.site.hub import Hub, shown
from tests.site.playing import answer_of, kinds, refused

Rewrite = Callable[[Hub], None]


def played(site: Site, hub: Hub, number: int = 1) -> None:
    """One good round, and some more rows at the hub."""
    assert isinstance(answer_of(site, hub, PROTOCOL, number), Contribution)
    hub.ledger += [b"charged", b"released", b"acknowledged"]


PROTOCOL = study()


@pytest.fixture
def seen(site: Site, hub: Hub) -> Site:
    """A site that saw the hub's ledger grow from one round to the next."""
    hub.approve(PROTOCOL)
    played(site, hub, 1)
    played(site, hub, 2)
    assert site.parts.witness.size == 4
    return site


def another_row(hub: Hub) -> None:
    """The last row that the site saw gives way to another one."""
    hub.ledger[3:] = [b"other", *hub.ledger[4:]]


def old_row_rehashed(hub: Hub) -> None:
    """An old row is changed, and everything after it hashed and signed again."""
    hub.ledger[0] = b"declared more"


def cut(hub: Hub) -> None:
    del hub.ledger[2:]


def emptied(hub: Hub) -> None:
    hub.ledger.clear()


def another_key(hub: Hub) -> None:
    thief = SigningKey.generate()
    hub.shows = lambda since: hub.checkpoint(since, key=thief)


def an_old_checkpoint(hub: Hub) -> None:
    old = shown(hub.ledger[:2], 0, hub.key)
    hub.shows = lambda since: old


def no_checkpoint(hub: Hub) -> None:
    hub.shows = lambda since: None


def another_proof(hub: Hub) -> None:
    def shows(since: int) -> dict[str, object]:
        return hub.checkpoint(since) | {"consistency": ["00" * 32]}

    hub.shows = shows


def no_proof(hub: Hub) -> None:
    hub.shows = lambda since: hub.checkpoint(since) | {"consistency": []}


def nonsense(hub: Hub) -> None:
    hub.shows = lambda since: {"checkpoint": [1], "consistency": 7}


def a_changed_size(hub: Hub) -> None:
    def shows(since: int) -> dict[str, object]:
        found = hub.checkpoint(since)
        return found | {"checkpoint": found["checkpoint"] | {"size": 99}}

    hub.shows = shows


REWRITES = [
    (another_row, "does not continue"),
    (old_row_rehashed, "does not continue"),
    (cut, "it was cut"),
    (emptied, "it was cut"),
    (another_key, "by key"),
    (an_old_checkpoint, "replayed"),
    (no_checkpoint, "shows no checkpoint"),
    (another_proof, "does not continue"),
    (no_proof, "does not continue"),
    (nonsense, "a JSON object"),
    (a_changed_size, "no checkpoint of its own"),
]


@pytest.mark.parametrize(
    ("rewrite", "why"), REWRITES, ids=lambda case: getattr(case, "__name__", "")
)
def test_it_is_refused_before_anything_is_computed(
    seen: Site, hub: Hub, rewrite: Rewrite, why: str
) -> None:
    before = kinds(seen)
    rewrite(hub)
    uid = hub.assign(PROTOCOL, model(), round=3)
    with capture_logs() as logs:
        answer = refused(seen, hub, uid)
    assert (answer.reason, answer.accessed) == (Reason.LEDGER_FORKED, False)
    assert kinds(seen) == [*before, "refused", "acknowledged"]
    assert why in next(row["why"] for row in logs if row["event"] == "ledger_forked")
    evidence = seen.parts.witness.newest
    assert (evidence.verdict, evidence.size) == (Verdict.REFUSED, 4)
    assert why in evidence.why


def test_two_sites_cannot_be_shown_two_histories(seen: Site, hub: Hub) -> None:
    """Whoever gets the other history back, gets no proof from the one it saw."""
    mine, others = hub.ledger, [*hub.ledger[:3], b"for the others", b"and more"]
    hub.ledger = others
    assert refused(seen, hub, hub.assign(PROTOCOL, model(), round=3)).reason == "ledger_forked"
    kept = json.loads(seen.parts.witness.newest.shown)["checkpoint"]
    assert kept["root"] == merkle.root([merkle.leaf_hash(row) for row in others]).hex()
    assert mine != others


def test_all_further_assignments_are_refused_even_honest_ones(
    seen: Site, hub: Hub, folder: Folder, assembled: Callable[[Folder], Site]
) -> None:
    honest = list(hub.ledger)
    old_row_rehashed(hub)
    refused(seen, hub, hub.assign(PROTOCOL, model(), round=3))
    hub.ledger = honest
    seen.close()
    restarted = assembled(folder)
    assert restarted.parts.witness.blocked
    again = refused(restarted, hub, hub.assign(PROTOCOL, model(), round=3, attempt=2))
    assert again.reason == Reason.LEDGER_FORKED
    assert [row.verdict for row in read_sightings(folder.journal)][-1] == Verdict.REFUSED


def test_the_first_checkpoint_is_trusted_and_then_pinned(site: Site, hub: Hub) -> None:
    hub.approve(PROTOCOL)
    hub.ledger = [b"whatever", b"was before"]
    played(site, hub)
    assert (site.parts.witness.size, len(read_sightings(site.parts.journal._path))) == (2, 1)


def test_a_damaged_header_is_asked_for_again(seen: Site, hub: Hub) -> None:
    """A proxy that drops or spoils the header costs a request, not a round."""
    before = len(hub.seen)
    delivery = Delivery(b"", _ledger(Answer(200, b"", {LEDGER_CHECKPOINT: "%%%"})))
    assert delivery.ledger == ""
    assert isinstance(answer_of(seen, hub, PROTOCOL, 3), Contribution)
    asked = [row.path for row in hub.seen[before:] if "ledger/checkpoint?from=4" in row.path]
    assert len(asked) == 1


def test_an_empty_ledger_may_be_the_first_that_is_seen(site: Site, hub: Hub) -> None:
    hub.approve(PROTOCOL)
    hub.ledger = []
    played(site, hub, 1)
    played(site, hub, 2)
    assert site.parts.witness.size == 3


def test_the_same_head_again_writes_nothing(seen: Site, hub: Hub) -> None:
    before = seen.parts.witness.newest
    del hub.ledger[4:]
    assert isinstance(answer_of(seen, hub, PROTOCOL, 3), Contribution)
    assert seen.parts.witness.newest == before


def test_it_does_not_matter_which_way_the_clock_runs(
    seen: Site, hub: Hub, clock: Clock, folder: Folder
) -> None:
    """The order is the rows' own; the hub's times are not compared either."""
    clock.offset = timedelta(seconds=-3)  # within the tolerance of the journal
    assert isinstance(answer_of(seen, hub, PROTOCOL, 3), Contribution)
    sizes = [row.size for row in read_sightings(folder.journal)]
    assert sizes == sorted(sizes)
    assert seen.parts.witness.size == 7


@pytest.mark.parametrize("text", ["[" * 500_000, "7", '{"checkpoint": "\\ud800"}'])
def test_what_cannot_be_read_proves_nothing(hub: Hub, text: str) -> None:
    with pytest.raises(LedgerForked):
        read(text, hub.key.public)


@pytest.mark.parametrize("rewrite", [None, old_row_rehashed])
def test_a_full_disk_refuses_either_way(
    seen: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch, rewrite: Rewrite | None
) -> None:
    def full(*arguments: object) -> None:
        raise JournalFull("no space")

    monkeypatch.setattr(Witness, "_write", full)
    if rewrite:
        rewrite(hub)
    answer = refused(seen, hub, hub.assign(PROTOCOL, model(), round=3))
    expected = Reason.LEDGER_FORKED if rewrite else Reason.JOURNAL_FULL
    assert (answer.reason, answer.accessed) == (expected, False)
    assert seen.parts.witness.size == 4


def test_what_was_seen_cannot_be_changed(seen: Site, folder: Folder) -> None:
    rows = sqlite3.connect(folder.journal)
    for statement in ("UPDATE sightings SET size = 0", "DELETE FROM sightings"):
        with pytest.raises(sqlite3.IntegrityError, match="is kept"):
            rows.execute(statement)
    rows.close()


# What people do about it.


def ask(folder: Folder, *more: str) -> int:
    return main(["witness", "--folder", str(folder.path), *more])


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text + "\n"))


@pytest.fixture
def blocked(seen: Site, hub: Hub, folder: Folder) -> Folder:
    old_row_rehashed(hub)
    refused(seen, hub, hub.assign(PROTOCOL, model(), round=3))
    seen.close()
    return folder


def test_the_command_shows_what_is_held(
    seen: Site, folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(folder) == 0
    assert "Held: 4 entries with root" in capsys.readouterr().out
    assert any(f.good and "4 entries seen" in f.text for f in check(folder))


def test_nothing_seen_is_nothing_wrong(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(folder) == 0
    assert "Nothing was seen" in capsys.readouterr().out


def test_the_command_shows_both_signed_checkpoints(
    blocked: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(blocked) == 1
    said = capsys.readouterr().out
    before, then = (
        json.loads(line.split(": ", 1)[1])["checkpoint"]
        for line in said.splitlines()
        if "held before: " in line or "shown then:  " in line
    )
    assert (before["size"], then["size"]) == (4, 7)
    assert before["signature"] != then["signature"]
    assert "tell\nyour compliance officer" in said
    assert any(not f.good and "was changed" in f.text for f in check(blocked))


def test_accepting_needs_a_reason_and_the_word(
    blocked: Folder, typed: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(blocked, "--accept") == 2
    assert "give --reason" in capsys.readouterr().err
    typed("yes")
    assert ask(blocked, "--accept", "--reason", "restored") == 1
    assert read_sightings(blocked.journal)[-1].verdict == Verdict.REFUSED


def test_an_accepted_ledger_is_held_from_then_on(
    blocked: Folder,
    hub: Hub,
    typed: Callable[[str], None],
    assembled: Callable[[Folder], Site],
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed("accept")
    assert ask(blocked, "--accept", "--reason", "restored on Monday, said by phone") == 0
    site = assembled(blocked)
    assert site.parts.witness.size == 7
    played(site, hub, 3)
    assert ask(blocked) == 0
    assert "Accepted by hand" in capsys.readouterr().out
    hub.ledger[0] = b"rewritten again"
    assert isinstance(answer_of(site, hub, PROTOCOL, 3), Refusal)


def test_accepting_a_missing_checkpoint_keeps_what_was_seen(
    seen: Site, hub: Hub, folder: Folder, typed: Callable[[str], None]
) -> None:
    no_checkpoint(hub)
    refused(seen, hub, hub.assign(PROTOCOL, model(), round=3))
    seen.close()
    typed("accept")
    assert ask(folder, "--accept", "--reason", "the hub was being updated") == 0
    newest = read_sightings(folder.journal)[-1]
    assert (newest.verdict, newest.size) == (Verdict.ALLOWED, 4)


def test_nothing_can_be_accepted_behind_a_running_worker(
    blocked: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    with blocked.alone():
        assert ask(blocked, "--accept", "--reason", "x") == 1
    assert "already runs" in capsys.readouterr().err


def test_there_may_be_nothing_to_accept(
    seen: Site, folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(folder, "--accept", "--reason", "x") == 0
    assert "nothing to accept" in capsys.readouterr().out
