"""A model in two parts: shared layers first, the site's own last, one noise over all of them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from federation.learning import personal
from federation.learning.initial import initial_tensors
from federation.learning.modules import build
from federation.learning.training import prepare, train, trained
from tests.learning.builders import nothing, protocol, rows
from tests.learning.stepping import quiet_update

HIDDEN = [5, 4, 3]


def study(own, **training):
    model = {"architecture": "mlp", "parameters": {"hidden": HIDDEN}, "personal_layers": own}
    return protocol(model=model, initialisation="seeded", **training)


def made(agreed, data=None, **changes):
    options = {
        "protocol": agreed,
        "tensors": initial_tensors(agreed),
        "data": data or rows(30),
        "noise_multiplier": 1.0,
        "batch_denominator": 15.0,
        "step_done": nothing,
    }
    return trained(**options | changes)


@given(st.integers(0, len(HIDDEN)))
def test_the_parts_are_the_model_and_share_nothing(own):
    found, whole = personal.first(study(own)), initial_tensors(study(own))
    assert not set(found.shared) & set(found.own)
    assert {n: a.tobytes() for n, a in (found.shared | found.own).items()} == {
        n: a.tobytes() for n, a in whole.items()
    }
    last = sorted({int(name.split(".")[0]) for name in whole})[len(HIDDEN) + 1 - own :]
    assert {int(name.split(".")[0]) for name in found.own} == set(last)


@given(st.integers(0, len(HIDDEN)))
def test_shared_weights_come_first(own):
    module = build(study(own))
    shared = personal.first(study(own)).shared
    order = [name for name, _ in module.named_parameters()]
    assert set(order[: len(shared)]) == set(shared)
    assert personal.shared_size(module, own) == sum(array.size for array in shared.values())


@pytest.mark.parametrize("own", [0, 1, 3])
def test_what_may_leave_and_what_stays(own):
    agreed = study(own)
    found, parts = made(agreed), personal.first(agreed)
    assert set(found.priced.tensors) == set(parts.shared)
    assert set(found.kept) == set(parts.own)
    assert all(np.any(found.kept[name] != parts.own[name]) for name in found.kept)


def test_own_layers_have_their_share_of_clip_and_noise():
    """The same private steps as without; only what leaves of them differs."""
    data = rows(40)
    settings = {"sample_rate": 1.0, "learning_rate": 0.3}
    one, other = (
        quiet_update(study(own, **settings), data, denominator=40.0, steps=3) for own in (0, 2)
    )
    assert one == pytest.approx(other, abs=0)
    kept, first = made(study(1), data=rows(0)).kept, personal.first(study(1)).own
    # Without any row the update is noise alone, and it is on the own layers, too.
    assert all(np.abs(kept[name] - first[name]).max() > 0 for name in first)


def test_the_price_does_not_depend_on_the_parts():
    assert made(study(0)).priced.events == made(study(2)).priced.events


def test_the_pull_leaves_own_layers_alone():
    """FedProx holds to the round's model, and the round's model has no own layers."""
    agreed = study(1, proximal=0.5)
    drift = prepare(agreed, initial_tensors(agreed), rows(4), 0.0, 1.0).drift
    shared = len(drift.weights)
    drift.weights.add_(1.0)
    noised = torch.zeros(sum(a.size for a in initial_tensors(agreed).values()))
    corrected = drift.corrected(noised)
    assert shared == sum(array.size for array in personal.first(agreed).shared.values())
    assert corrected[:shared].tolist() == pytest.approx([0.5] * shared)
    assert not corrected[shared:].any()


def test_train_gives_what_may_leave():
    agreed = study(1)
    priced = train(
        protocol=agreed,
        tensors=initial_tensors(agreed),
        data=rows(30),
        noise_multiplier=1.0,
        batch_denominator=15.0,
        step_done=nothing,
    )
    assert set(priced.tensors) == set(personal.first(agreed).shared)
