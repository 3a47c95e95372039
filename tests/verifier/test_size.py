"""Ledgers of a real size: the demonstration's is verified whole, a long one takes no memory."""

import json
from dataclasses import replace

import pytest

from accounting.services import ledger
from accounting.services.checkpoints import issue
from accounting.verifier.parts.trees import Tree, leaf_hash
from tests.accounting import builders as b
from tests.verifier import bundles

pytestmark = pytest.mark.django_db
HOUSES = ("cleveland", "hungary", "switzerland", "virginia")
ROUNDS = 30
LIMIT = ledger.Limit(6.0, 1e-3)


def _events():
    """Noise that differs in every round, and a metric by the full batch: nothing is repeated."""
    trains = [replace(b.TRAIN, noise_multiplier=4.0 + 0.1 * n) for n in range(ROUNDS)]
    return [event for train in trains for event in (train, b.EVALUATE)]


@pytest.fixture
def demonstration(db):
    """4 hospitals, 30 rounds, two mechanisms each: over 900 entries."""
    events = _events()
    for house in HOUSES:
        b.lend(house, epsilon="9.0")
        ledger.seal(
            study="heart",
            institution=house,
            lineage="heart",
            plan_events=events,
            protocol_digest=b.PROTOCOL,
            unit="patient",
            study_limit=LIMIT,
        )
    for number, (train, evaluate) in enumerate(zip(events[::2], events[1::2], strict=True), 1):
        for phase, event in (("train", train), ("evaluate", evaluate)):
            keys = [b.key(house, number, phase=phase) for house in HOUSES]
            ledger.reserve_all([b.reservation(key, event, LIMIT) for key in keys])
            for kind, facts in (
                ("charged", {}),
                ("released", {"tensors_digest": "c" * 64}),
                ("acknowledged", {"model_digest": "d" * 64}),
            ):
                ledger.record([ledger.Move(key, kind, facts) for key in keys])
        issue()
    return json.dumps(bundles.whole())


def test_the_demonstration_is_verified_whole(auditor, demonstration):
    code, text = auditor.run(demonstration)
    assert code == 0, text
    assert "968 entries" in text


def test_many_leaves_need_only_their_peaks():
    tree = Tree()
    for number in range(100_000):
        tree.add(leaf_hash(b"%d" % number))
    assert len(tree._peaks) == (100_000).bit_count()
