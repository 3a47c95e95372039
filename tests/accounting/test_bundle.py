"""A bundle is enough to check everything in it: chain, tree, signatures, growth, inclusion."""

import json

import pytest

from accounting.canonical import GENESIS, chained
from accounting.log.checkpoints import SignedCheckpoint
from accounting.log.merkle import Frontier, leaf_hash, verify_consistency, verify_inclusion
from accounting.models import Entry
from accounting.selectors import bundle
from accounting.services.checkpoints import issue
from accounting.services.hub_key import hub_key
from federation.protocol.keys import verify
from studies.models import Role
from tests.accounting import in_memory, world

pytestmark = pytest.mark.django_db


@pytest.fixture
def small():
    found = world.build()
    issue()
    for number in (8, 9):
        world.b.reserve(world.b.key("zurich", number))
        issue()
    world.play(found)
    issue()
    return found


def proof_of(steps: list[str]) -> list[bytes]:
    return [bytes.fromhex(step) for step in steps]


def checked_words(document) -> list[SignedCheckpoint]:
    words = [SignedCheckpoint.from_json(word) for word in document["checkpoints"]]
    for word in words:
        word.verify(document["hub_key"], verify)
    assert [g["from"] for g in document["consistency"]] == [w.checkpoint.size for w in words[:-1]]
    for old, new, growth in zip(words, words[1:], document["consistency"], strict=False):
        assert growth["to"] == new.checkpoint.size
        verify_consistency(
            old.checkpoint.size,
            bytes.fromhex(old.checkpoint.root),
            new.checkpoint.size,
            bytes.fromhex(new.checkpoint.root),
            proof_of(growth["proof"]),
        )
    return words


def test_a_complete_bundle_is_the_whole_ledger(small):
    document = in_memory.document(scope={"kind": "ledger"})
    assert document["schema"] == "cloister-bundle/1"
    assert document["hub_key"] == hub_key().public
    assert document["complete"] is True
    words = checked_words(document)
    assert [word.checkpoint.size for word in words[:3]] == [4, 5, 6]
    tree, previous = Frontier(), GENESIS
    for number, entry in enumerate(document["entries"], start=1):
        assert set(entry) == {"sequence", "previous_digest", "digest", "body"}
        assert (entry["sequence"], entry["previous_digest"]) == (number, previous)
        previous = chained(previous, entry["body"])
        assert entry["digest"] == previous
        tree.append(leaf_hash(entry["body"].encode()))
    assert tree.size == Entry.objects.count() == words[-1].checkpoint.size
    assert tree.root().hex() == words[-1].checkpoint.root


def test_a_studys_bundle_proves_each_of_its_entries(small):
    rows = Entry.objects.filter(study=small.study.slug)
    document = in_memory.document(rows, scope={"kind": "study", "study": "heart"})
    last = checked_words(document)[-1].checkpoint
    assert document["complete"] is False
    assert len(document["entries"]) == rows.count()
    for entry in document["entries"]:
        verify_inclusion(
            leaf_hash(entry["body"].encode()),
            entry["sequence"] - 1,
            last.size,
            proof_of(entry["inclusion"]),
            bytes.fromhex(last.root),
        )


def test_what_came_after_the_last_checkpoint_is_left_out(small):
    size = Entry.objects.count()
    world.b.reserve(world.b.key(number=7))
    for rows in (None, Entry.objects.all()):
        document = in_memory.document(rows, scope={})
        assert document["entries"][-1]["sequence"] == size


def test_a_report_and_the_sites_words_go_with_it(small):
    document = in_memory.document(
        scope={}, witnesses=[{"institution": "zurich"}], report={"text": ""}
    )
    assert document["witnesses"] == [{"institution": "zurich"}]
    assert document["report"] == {"text": ""}
    assert in_memory.document(scope={})["report"] is None


def test_a_ledger_that_was_never_signed_has_no_bundle():
    with pytest.raises(bundle.NoCheckpoint, match="issue a checkpoint"):
        in_memory.document(scope={})


def test_proofs_take_few_queries(small, django_assert_max_num_queries):
    with django_assert_max_num_queries(6):
        in_memory.document(Entry.objects.all(), scope={})


def test_the_whole_ledger_is_for_officers_of_the_federation(client, small):
    client.force_login(small.officer)
    answer = client.get("/ledger/bundle.json")
    assert answer.status_code == 200
    assert answer["Content-Disposition"] == 'attachment; filename="ledger-bundle.json"'
    assert json.loads(answer.getvalue())["complete"] is True
    for person in (small.lead, small.admin, small.stranger):
        client.force_login(person)
        assert client.get("/ledger/bundle.json").status_code == 403


def test_a_house_takes_its_own_entries_of_a_study(client, small):
    house = small.institution("zurich")
    client.force_login(world.person("zoe", Role.SITE_ADMIN, house))
    document = json.loads(client.get("/studies/heart/bundle.json").getvalue())
    bodies = [json.loads(entry["body"]) for entry in document["entries"]]
    assert {body["institution"] for body in bodies} == {"zurich"}
    assert document["scope"] == {"kind": "study", "study": "heart"}


def test_the_download_signs_the_present_head(client, small):
    world.b.reserve(world.b.key(number=7))
    client.force_login(small.officer)
    document = json.loads(client.get("/studies/heart/bundle.json").getvalue())
    assert document["checkpoints"][-1]["size"] == Entry.objects.count()


def test_a_lead_and_a_stranger_take_nothing(client, small):
    client.force_login(small.lead)
    assert client.get("/studies/heart/bundle.json").status_code == 403
    client.force_login(small.stranger)
    assert client.get("/studies/heart/bundle.json").status_code == 404
