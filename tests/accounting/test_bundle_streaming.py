"""A bundle is sent while it is written: its length costs time, not memory."""

import json
import tracemalloc

import pytest
from django.contrib.messages import get_messages
from django.db import transaction
from django.utils import timezone

from accounting.models import Entry, EntryKind
from accounting.selectors import bundle, tree
from accounting.services import rows
from accounting.services.checkpoints import issue
from accounting.services.rows import Draft
from studies.streaming import Streamed
from tests.accounting import builders as b
from tests.accounting import forging, in_memory, world

pytestmark = pytest.mark.django_db
ENTRIES, WIDE = 3000, 2000


@pytest.fixture
def long_ledger(monkeypatch, transactional_db):
    """Some megabytes of rows that are as wide as a sealed plan."""
    monkeypatch.setattr(bundle, "AT_ONCE", 100)
    drafts = [
        Draft(EntryKind.ATTESTED, f"n{number}", "heart", "zurich", "", facts={"text": "x" * WIDE})
        for number in range(ENTRIES)
    ]
    with transaction.atomic():
        rows.append(rows.lock(), drafts, timezone.now())
    issue()


@pytest.mark.parametrize("some", [False, True])
def test_memory_does_not_grow_with_the_ledger(long_ledger, some):
    chosen = Entry.objects.filter(study="heart") if some else None
    tracemalloc.start()
    try:
        length = sum(len(piece) for piece in bundle.pieces(chosen, scope={}))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert length > ENTRIES * WIDE
    assert peak < length / 3, f"{peak} bytes were held for a bundle of {length}"


@pytest.mark.parametrize("at_once", [1, 3, 26, 500])
def test_the_size_of_the_pieces_changes_nothing(monkeypatch, transactional_db, at_once):
    world.play(world.build())
    issue()
    whole, mine = in_memory.text(scope={}), Entry.objects.filter(institution="zurich")
    study = in_memory.text(mine, scope={})
    monkeypatch.setattr(bundle, "AT_ONCE", at_once)
    assert in_memory.text(scope={}) == whole
    assert in_memory.text(mine, scope={}) == study
    assert len(json.loads(whole)["entries"]) == Entry.objects.count()
    assert len(json.loads(study)["entries"]) == mine.count()


def test_a_text_that_looks_like_the_entries_moves_nothing(transactional_db):
    world.build()
    issue()
    document = in_memory.document(scope={"kind": ',"entries":[', "study": '"entries":['})
    assert len(document["entries"]) == 4
    assert document["scope"]["kind"] == ',"entries":['


def test_what_is_appended_meanwhile_is_left_out(transactional_db, monkeypatch):
    monkeypatch.setattr(bundle, "AT_ONCE", 1)
    world.build()
    issue()
    parts = bundle.pieces(scope={})
    begun = next(parts)
    b.reserve(b.key(number=9))
    issue()
    assert len(json.loads(begun + "".join(parts))["entries"]) == 4


def test_a_missing_row_is_told_before_anything_is_sent(transactional_db, client):
    found = world.build()
    world.play(found)
    issue()
    forging.unguard()
    Entry.objects.filter(sequence=16).delete()
    with pytest.raises(tree.Damaged, match="verify_ledger"):
        bundle.pieces(scope={})
    client.force_login(found.officer)
    for address in ("/ledger/bundle.json", "/studies/heart/bundle.json"):
        answer = client.get(address)
        assert (answer.status_code, answer["Location"]) == (302, "/ledger/")
        told = [str(message) for message in get_messages(answer.wsgi_request)]
        assert "no bundle of a broken ledger" in told[-1]


def test_a_ledger_that_was_cut_is_told_too(transactional_db, client):
    found = world.build()
    world.play(found)
    issue()
    forging.unguard()
    forging.cut(20)
    client.force_login(found.officer)
    assert client.get("/ledger/bundle.json")["Location"] == "/ledger/"


async def test_under_asgi_each_piece_is_made_when_it_is_sent():
    made = []

    def parts():
        for number in range(3):
            made.append(number)
            yield f"{number},"

    answer, sent = Streamed(parts()), []
    async for piece in answer:
        sent.append(piece)
        assert len(made) == len(sent)
    assert b"".join(sent) == b"0,1,2,"


def test_and_under_a_test_client_as_ever():
    assert b"".join(Streamed(iter(["a", "b"]))) == b"ab"
