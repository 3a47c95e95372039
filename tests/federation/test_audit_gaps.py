"""Who is not audited is named, with the reason; what binds nothing is refused."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from accounting.models import Entry
from federation.models import Assignment
from federation.protocol import messages
from federation.protocol.audit import COMMIT, REVEAL, Coins, committed, revealed
from federation.protocol.plans import round_events
from federation.protocol.tensors import pack
from federation.selectors.audits import Audited, audits
from federation.services import blobs
from studies.models import Event, Study
from studies.selectors.protocols import protocol_of
from studies.services import participations, studies
from tests.federation.conftest import SLUGS, advance, kinds
from tests.federation.sites import Site
from tests.federation.test_adaptive import ADAPTIVE

CANARIES = 12
COINS = Coins("011010010110", b"s" * 32)
OTHER = Coins("111010010110", b"s" * 32)


@pytest.fixture
def audited(start) -> Study:
    """A running study of two rounds with an audit, its commit phase open."""
    return advance(start(audit={"canaries": CANARIES}))


def bind(site: Site, coins: Coins = COINS) -> dict:
    return send(site, COMMIT, committed(coins).tensors)


def reveal(site: Site, coins: Coins = COINS) -> dict:
    return send(site, REVEAL, revealed(coins).tensors)


def send(site: Site, phase: str, tensors: dict[str, np.ndarray]) -> dict:
    task = site.take()
    assert task is not None
    assert task.phase == phase
    assert task.parameters == {}
    return site.contribute(task, tensors).json()


def play(study: Study, sites: dict[str, Site], first: Callable[[Site], object] = bind) -> Study:
    """From the open commit phase to the open reveal."""
    for site in sites.values():
        first(site)
    advance(study, later=0)
    for _ in range(3):  # train, train, evaluate
        for site in sites.values():
            if Assignment.objects.filter(
                institution=site.institution, status__in=("open", "taken")
            ).exists():
                site.work()
        advance(study)
    return study


def states(study: Study) -> dict[str, Audited]:
    return {row.institution.slug: row for row in audits(study)}


def missing(study: Study) -> dict[str, str]:
    rows = Event.objects.filter(study=study, kind="audit_missing").select_related("institution")
    return {row.institution.slug: row.payload["reason"] for row in rows}


def test_the_whole_way(audited, sites):
    assert {row.state for row in audits(audited)} == {"waiting"}
    play(audited, sites)
    assert {row.state for row in audits(audited)} == {"committed"}
    for site in sites.values():
        assert reveal(site) == {"accepted": True, "reason": ""}
    advance(audited)
    assert audited.status == "completed"
    assert {row.state for row in audits(audited)} == {"measured"}
    assert missing(audited) == {}
    assert Event.objects.filter(kind="audit_measured").count() == 3
    assert not Event.objects.filter(kind="audit_failed").exists()


def test_free_phases_leave_no_key_in_the_ledger(audited, sites):
    play(audited, sites)
    for site in sites.values():
        reveal(site)
    advance(audited)
    assert kinds(audited, "zurich", 1, phase=COMMIT) == []
    assert kinds(audited, "zurich", 2, phase=REVEAL) == []
    assert Entry.objects.filter(kind="committed").count() == 3


def test_training_opens_only_once_everybody_is_bound_or_out(audited, sites):
    budapest, cleveland, zurich = (sites[slug] for slug in SLUGS)
    bind(budapest)
    advance(audited)
    assert budapest.take() is None
    cleveland.refuse(cleveland.take(), messages.Reason.LIMIT_AUDITS, accessed=False)
    zurich.take()
    advance(audited)
    assert audited.rounds.get().phase == COMMIT
    advance(audited, later=61)
    assert audited.rounds.get().phase == "train"
    assert not Entry.objects.filter(kind="committed").exclude(institution="budapest").exists()


def test_who_did_not_commit_is_named_with_the_reason(audited, sites):
    budapest, cleveland, zurich = (sites[slug] for slug in SLUGS)
    bind(budapest)
    cleveland.refuse(cleveland.take(), messages.Reason.LIMIT_AUDITS, accessed=False)
    zurich.take()
    advance(audited, later=61)
    for _ in range(3):
        for site in sites.values():
            site.work()
        advance(audited)
    reveal(budapest)
    for site in (cleveland, zurich):
        task = site.take()
        site.refuse(task, messages.Reason.LOCAL_FAILURE, accessed=False)
    advance(audited)
    assert audited.status == "completed"
    assert missing(audited) == {
        "cleveland": "committed to no coins (refused: limit_audits)",
        "zurich": "committed to no coins (lost: no answer before the deadline)",
    }
    assert {slug: row.state for slug, row in states(audited).items()} == {
        "budapest": "measured",
        "cleveland": "missing",
        "zurich": "missing",
    }


def test_who_vanishes_before_the_reveal_is_named(audited, sites):
    play(audited, sites)
    reveal(sites["budapest"])
    sites["zurich"].take()
    advance(audited, later=61)
    assert audited.status == "completed"
    assert missing(audited) == {
        "cleveland": "did not reveal its coins (unused: no answer before the deadline)",
        "zurich": "did not reveal its coins (lost: no answer before the deadline)",
    }


def test_who_withdrew_is_named(audited, sites, lead):
    part = audited.participations.get(institution__slug="zurich")
    for site in sites.values():
        bind(site)
    advance(audited)
    participations.withdraw(part, by=lead)
    advance(audited)
    studies.withdraw(audited, by=lead)
    assert states(audited)["budapest"].state == "committed"
    advance(audited)
    row = states(audited)["zurich"]
    assert (row.state, row.reason) == ("missing", "left the study before its coins were revealed")


def test_false_coins_are_refused_for_good(audited, sites):
    play(audited, sites)
    answer = reveal(sites["budapest"], OTHER)
    assert answer == {
        "accepted": False,
        "reason": "the revealed coins are not those that were committed to",
    }
    for slug in ("cleveland", "zurich"):
        reveal(sites[slug])
    advance(audited)
    assert missing(audited) == {
        "budapest": "did not reveal its coins (answered: the revealed coins are not those that "
        "were committed to)"
    }
    assert Entry.objects.filter(kind="revealed").exclude(institution="").count() == 2


@pytest.mark.parametrize(("name", "size"), [("commitment", 33), ("rows", 32)])
def test_a_commitment_of_another_form_is_refused(audited, sites, name, size):
    answer = send(sites["budapest"], COMMIT, {name: np.zeros(size, np.uint8)})
    assert answer["accepted"] is False
    assert not Entry.objects.filter(kind="committed").exists()


def test_a_commitment_with_a_price_is_no_message(audited, sites):
    site = sites["budapest"]
    task = site.take()
    event = round_events(protocol_of(audited), 1, "budapest")["train"].to_json()
    with pytest.raises(messages.MessageError, match="no privacy event"):
        site.contribution(task, pack(committed(COINS).tensors), events=(event,))


def second_attempt(study: Study, lead) -> None:
    """Let the first round fail for want of answers, and open it again."""
    advance(study, later=61)
    advance(study, later=130)
    assert study.status == "paused"
    studies.resume(study, by=lead)
    advance(study)
    assert study.rounds.order_by("-id").first().attempt == 2


def test_a_second_attempt_keeps_to_the_first_coins(audited, sites, lead):
    budapest, cleveland, _ = (sites[slug] for slug in SLUGS)
    bind(budapest)
    bind(cleveland)
    second_attempt(audited, lead)
    assert bind(budapest)["accepted"] is True
    answer = bind(cleveland, OTHER)
    assert answer["reason"] == "the site committed to other coins before, and those stand"
    assert Entry.objects.filter(kind="committed").count() == 2


def test_a_late_commitment_binds_nothing(audited, sites, lead):
    bind(sites["budapest"])
    second_attempt(audited, lead)
    answer = bind(sites["zurich"])
    assert answer["accepted"] is False
    assert "after training was reserved" in answer["reason"]


def test_one_round_has_both_phases(start, sites):
    study = advance(
        start(
            audit={"canaries": CANARIES},
            rounds={"count": 1, "deadline_seconds": 60},
            evaluation={"every": 0, "holdout": 0.0},
        )
    )
    for work in (bind, Site.work, reveal):
        for site in sites.values():
            work(site)
        advance(study)
    assert study.status == "completed"
    assert {row.state for row in audits(study)} == {"measured"}


def test_noise_that_was_chosen_on_the_way_is_audited_as_it_was(start, sites):
    study = advance(start(**ADAPTIVE | {"rounds": {"count": 2}}, audit={"canaries": CANARIES}))
    for work in (bind, Site.work, Site.work, Site.work, Site.work, reveal):
        for site in sites.values():
            work(site)
        advance(study)
    assert study.status == "completed"
    assert {row.state for row in audits(study)} == {"measured"}


def test_a_lost_blob_is_told_and_ends_nothing(audited, sites):
    play(audited, sites)
    for site in sites.values():
        reveal(site)
    task = Assignment.objects.filter(phase="train", institution__slug="zurich").first()
    blobs.path(task.contribution.tensors_digest).unlink()
    advance(audited)
    assert audited.status == "completed"
    assert set(missing(audited)) == set(SLUGS)
    assert "missing from the blob store" in missing(audited)["budapest"]


def test_a_study_without_audit_has_no_such_rows(study):
    assert audits(study) == []
    assert study.rounds.get().phase == "train"
    assert "audit" not in json.loads(study.document)
