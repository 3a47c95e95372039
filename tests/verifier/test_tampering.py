"""Every forgery is found and placed: by its hashes, or, where the hub itself forged, by replay."""

import copy
import json

import pytest

from accounting.log.merkle import Frontier, leaf_hash
from accounting.services.hub_key import hub_key
from federation.protocol.keys import SigningKey
from tests.verifier import bundles

pytestmark = pytest.mark.django_db


def flipped(text: str, at: int) -> str:
    """`text` with one character changed into another of its kind."""
    old = text[at]
    new = "1" if old == "0" else "0" if old.isdigit() else "b" if old == "a" else "a"
    return text[:at] + new + text[at + 1 :]


def test_every_byte_of_a_body_counts(auditor, honest):
    for number in (1, 5):
        text = honest["entries"][number - 1]["body"]
        for at in range(0, len(text), 7):
            document = copy.deepcopy(honest)
            document["entries"][number - 1]["body"] = flipped(text, at)
            document["checkpoints"], document["consistency"] = document["checkpoints"][-1:], []
            found = auditor.wrong(document)
            assert found["digests"][0] == number, text[at:]
            assert "tree" in found


@pytest.mark.parametrize("name", ["digest", "previous_digest"])
def test_every_byte_of_a_digest_counts(auditor, honest, name):
    text = honest["entries"][6][name]
    for at in range(0, 64, 9):
        document = copy.deepcopy(honest)
        document["entries"][6][name] = flipped(text, at)
        assert auditor.wrong(document)["digests"][0] == 7


@pytest.mark.parametrize("name", ["origin", "size", "root", "at", "key", "signature"])
def test_every_field_of_a_checkpoint_counts(auditor, honest, name):
    text = str(honest["checkpoints"][1][name])
    for at in range(0, len(text), 5):
        document = copy.deepcopy(honest)
        changed = flipped(text, at)
        document["checkpoints"][1][name] = int(changed) if name == "size" else changed
        assert "checkpoints" in auditor.wrong(document), changed


def test_every_byte_of_a_proof_counts(auditor, honest):
    proof = honest["consistency"][0]["proof"]
    for place, text in enumerate(proof):
        document = copy.deepcopy(honest)
        document["consistency"][0]["proof"][place] = flipped(text, 11)
        assert "consistency" in auditor.wrong(document)
    document = copy.deepcopy(honest)
    document["consistency"][0]["proof"].pop()
    assert "consistency" in auditor.wrong(document)
    document["consistency"] = []
    assert "consistency" in auditor.wrong(document)


def test_a_dropped_entry_is_a_gap(auditor, honest):
    del honest["entries"][8]
    found = auditor.wrong(honest)
    assert found["sequence"][0] == 10
    assert {"tree", "checkpoints"} & set(found)


def test_a_cut_end_is_signed_by_nobody(auditor, honest):
    del honest["entries"][-2:]
    assert "checkpoints" in auditor.wrong(honest)


def test_swapped_entries_are_out_of_order(auditor, honest):
    rows = honest["entries"]
    rows[8], rows[9] = rows[9], rows[8]
    assert auditor.wrong(honest)["sequence"][0] == 10


def test_swapped_and_renumbered_entries_break_the_chain(auditor, honest):
    rows = honest["entries"]
    rows[8]["body"], rows[9]["body"] = rows[9]["body"], rows[8]["body"]
    found = auditor.wrong(honest)
    assert found["digests"][0] == 9
    assert "tree" in found


def test_a_replayed_checkpoint_goes_backwards(auditor, honest):
    honest["checkpoints"].append(honest["checkpoints"][0])
    assert "backwards" in auditor.wrong(honest)["checkpoints"][1]


def test_a_forged_root_is_not_that_of_the_entries(auditor, honest):
    size = len(honest["entries"])
    honest["checkpoints"] = [bundles.checkpoint(hub_key(), size, "a" * 64)]
    honest["consistency"] = []
    assert "not that of these" in auditor.wrong(honest)["tree"][1]


def test_a_checkpoint_by_another_key_is_refused(auditor, honest):
    tree = Frontier()
    for row in honest["entries"]:
        tree.append(leaf_hash(row["body"].encode()))
    note = bundles.checkpoint(SigningKey.generate(), tree.size, tree.root().hex())
    honest["checkpoints"], honest["consistency"] = [note], []
    assert "another key" in auditor.wrong(honest)["checkpoints"][1]


def test_a_hub_that_signs_the_same_again_forges_nothing(auditor, honest):
    assert auditor.wrong(bundles.forged(honest)) == {}


@pytest.mark.parametrize("factor", [0.99, 1.01])
@pytest.mark.parametrize("kind", ["sealed", "reserved"])
def test_an_epsilon_one_percent_off_is_found(auditor, honest, factor, kind):
    number = bundles.number_of(honest, kind, 1)
    figure = bundles.body(honest, number)["figure"]
    figure["epsilon"] = repr(float(figure["epsilon"]) * factor)
    found = auditor.wrong(bundles.changed(honest, number, figure=figure))
    assert found["epsilon"][0] == number
    assert set(found) == {"epsilon"}


@pytest.mark.parametrize(("place", "factor"), [(0, 0.99), (0, 1.01), (1, 0.99), (1, 1.01)])
def test_so_is_one_in_the_check_of_a_budget(auditor, honest, place, factor):
    number = bundles.number_of(honest, "reserved", 2)
    checks = bundles.body(honest, number)["checks"]
    checks[place]["epsilon"] = repr(float(checks[place]["epsilon"]) * factor)
    found = auditor.wrong(bundles.changed(honest, number, checks=checks))
    assert found["epsilon"][0] == number


def test_more_noise_than_there_was_is_found(auditor, honest):
    number = bundles.number_of(honest, "reserved", 0)
    event = bundles.body(honest, number)["event"] | {"noise_multiplier": "2.1"}
    found = auditor.wrong(bundles.changed(honest, number, event=event))
    assert found["epsilon"][0] == number
    assert found["budgets"][0] == number  # it was not sealed like that


def test_a_release_before_its_charge_is_found(auditor, honest):
    bodies = [json.loads(row["body"]) for row in honest["entries"]]
    at = bundles.number_of(honest, "charged", 0) - 1
    bodies[at], bodies[at + 1] = bodies[at + 1], bodies[at]
    found = auditor.wrong(bundles.forged(honest, bodies))
    assert found["transitions"][0] == at + 1
    assert "is reserved and cannot become released" in found["transitions"][1]
    assert "charges" in found


def test_a_charge_cannot_be_given_back_on_nobodys_word(auditor, honest):
    number = bundles.number_of(honest, "lost")
    event = bundles.body(honest, bundles.number_of(honest, "reserved", 3))["event"]
    key = bundles.body(honest, number)["idempotency_key"].replace("lost", "aborted")
    bodies = [json.loads(row["body"]) for row in honest["entries"]]
    bodies[number - 1] |= {"kind": "aborted", "idempotency_key": key, "event": event}
    charged = bundles.body(honest, bundles.number_of(honest, "charged", 0))
    place = {name: bodies[number - 1][name] for name in ("institution", "round", "attempt")}
    key = key.replace("aborted", "charged")
    bodies.insert(number - 1, charged | place | {"idempotency_key": key})
    found = auditor.wrong(bundles.forged(honest, bodies))
    assert found["transitions"][0] == number + 1
    assert "without the site's signed word" in found["transitions"][1]


def test_one_key_stands_once(auditor, honest):
    number = bundles.number_of(honest, "reserved", 1)
    key = bundles.body(honest, bundles.number_of(honest, "reserved", 0))["idempotency_key"]
    found = auditor.wrong(bundles.changed(honest, number, idempotency_key=key))
    assert found["idempotency"][0] == number
    assert "stands at entry" in found["idempotency"][1]


def test_a_key_of_another_form_is_found(auditor, honest):
    number = bundles.number_of(honest, "released", 0)
    found = auditor.wrong(bundles.changed(honest, number, idempotency_key="x"))
    assert found["idempotency"][0] == number


def test_another_dataset_behind_one_reservation_is_found(auditor, honest):
    number = bundles.number_of(honest, "charged", 0)
    found = auditor.wrong(bundles.changed(honest, number, lineage="lungs"))
    assert found["transitions"][0] == number
