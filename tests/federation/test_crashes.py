"""Killed anywhere, called twice, run by two workers: the same end, and a ledger that adds up."""

from collections.abc import Callable

import pytest

from accounting.models import Entry
from accounting.services import ledger
from federation.models import Assignment, Checkpoint, Contribution, Round
from federation.services import advancing, blobs, closing, opening, settling
from studies.services import events, studies
from tests.federation.conftest import advance, kinds


class Killed(BaseException):
    """No handler may swallow it, as none could swallow a kill -9."""


def dying(real: Callable, *, before: bool) -> Callable:
    def call(*args, **kwargs):
        if not before:
            real(*args, **kwargs)
        raise Killed

    return call


def last_rows() -> dict[str, int]:
    models = (Entry, Round, Assignment, Checkpoint, Contribution)
    return {model.__name__: model.objects.count() for model in models}


OPENING = [
    (closing, "first_model"),
    (blobs, "put"),
    (ledger, "warm"),
    (ledger, "seal"),
    (ledger, "reserve_all"),
    (opening, "open_phase"),
    (opening, "open_round"),
    (events, "record"),
]
CLOSING = [
    (closing, "next_model"),
    (blobs, "put"),
    (ledger, "record"),
    (opening, "open_phase"),
]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(("where", "name"), OPENING, ids=[name for _, name in OPENING])
def test_killed_while_opening(start, monkeypatch, where, name, before):
    study = start()
    empty = last_rows()
    with monkeypatch.context() as patch:
        patch.setattr(where, name, dying(getattr(where, name), before=before))
        with pytest.raises(Killed):
            advancing.advance(study.pk)
    assert last_rows() == empty
    advance(study)
    assert [kinds(study, slug) for slug in ("budapest", "cleveland", "zurich")] == [
        ["reserved"]
    ] * 3
    assert (Round.objects.count(), Assignment.objects.count()) == (1, 3)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(("where", "name"), CLOSING, ids=[name for _, name in CLOSING])
def test_killed_while_closing(start, sites, monkeypatch, where, name, before):
    study = advance(start(rounds={"count": 1}))
    for site in sites.values():
        site.work()
    open_rows = last_rows()
    with monkeypatch.context() as patch:
        patch.setattr(where, name, dying(getattr(where, name), before=before))
        with pytest.raises(Killed):
            advancing.advance(study.pk)
    assert last_rows() == open_rows
    advance(study)
    for site in sites.values():
        site.work()
    assert advance(study).status == "completed"
    assert Checkpoint.objects.count() == 2
    assert {kinds(study, slug)[-1] for slug in sites} == {"acknowledged"}


@pytest.mark.parametrize(
    ("where", "name"), [(ledger, "record"), (settling, "fail"), (studies, "hold")]
)
def test_killed_while_failing(study, sites, monkeypatch, where, name):
    sites["zurich"].take()
    with monkeypatch.context() as patch:
        patch.setattr(where, name, dying(getattr(where, name), before=False))
        with pytest.raises(Killed):
            advance(study, later=61)
    advance(study, later=61)
    assert study.status == "paused"
    assert kinds(study, "zurich") == ["reserved", "charged", "lost"]
    assert kinds(study, "budapest") == ["reserved", "aborted"]
    assert study.events.filter(kind="round_failed").count() == 1


@pytest.mark.parametrize("name", ["charge", "record"])
def test_killed_while_a_site_takes_or_answers(study, sites, monkeypatch, name):
    site = sites["zurich"]
    act: Callable = site.take if name == "charge" else site.contribute
    arguments = [] if name == "charge" else [site.take()]
    before = last_rows()
    with monkeypatch.context() as patch:
        patch.setattr(ledger, name, dying(getattr(ledger, name), before=False))
        with pytest.raises(Killed):
            act(*arguments)
    assert last_rows() == before
    act(*arguments)
    end = ["reserved", "charged"] if name == "charge" else ["reserved", "charged", "released"]
    assert kinds(study, site) == end


def test_calling_again_changes_nothing(study):
    rows, told = last_rows(), study.events.count()
    assert [advancing.advance(study.pk) for _ in range(3)] == [0, 0, 0]
    assert (last_rows(), study.events.count()) == (rows, told)


def test_looking_in_vain_is_cheap(study, django_assert_max_num_queries):
    with django_assert_max_num_queries(6):
        advancing.advance(study.pk)


def test_who_comes_second_finds_the_rows_changed(study, sites, monkeypatch):
    """Two workers computed the same model; the first has committed meanwhile."""
    for site in sites.values():
        site.work()
    plain = closing.next_model

    def overtaken(round_):
        made = plain(round_)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(closing, "next_model", plain)
            advancing.advance(study.pk)
        return made

    monkeypatch.setattr(closing, "next_model", overtaken)
    advance(study)
    assert Checkpoint.objects.count() == 2
    assert Round.objects.filter(number=2).count() == 1
    assert study.events.filter(kind="round_closed").count() == 1


def test_a_missing_blob_is_a_persons_matter_not_an_endless_error(study, sites):
    for site in sites.values():
        site.work()
    blobs.path(Contribution.objects.first().tensors_digest).unlink()
    advance(study)
    assert study.status == "paused"
    assert "missing from the blob store" in study.status_reason


def test_a_missing_histogram_costs_the_metrics_not_the_study(start, sites):
    study = advance(start(rounds={"count": 1}))
    for _ in range(2):
        for site in sites.values():
            site.work()
        if study.checkpoints.count() == 2:
            blobs.path(Contribution.objects.latest("id").tensors_digest).unlink()
        advance(study)
    assert study.status == "completed"
    assert (
        "missing from the blob store"
        in study.checkpoints.get(number=1).metrics["sites"]["withheld"]
    )


def test_the_sweep_finds_what_moves(study, start, lead):
    assert advancing.due() == [study.pk]
    studies.pause(study, by=lead)
    assert advancing.due() == [study.pk]
    Round.objects.update(status="closed")
    assert advancing.due() == []
