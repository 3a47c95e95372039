"""Every architecture in the folder keeps the promise: one suite, parametrised over the names."""

import json

import numpy as np
import pytest
import torch
from opacus import GradSampleModule
from pydantic import ValidationError
from torch import nn

from federation.learning import architectures
from federation.learning.architectures import ArchitectureError
from federation.learning.initial import initial_tensors
from federation.learning.modules import load, weights
from tests.learning.builders import flat, protocol, rows
from tests.learning.stepping import quiet_update

PRESETS = [
    (name, preset) for name in architectures.names() for preset in architectures.get(name).presets
]


def model(name, preset):
    return {"architecture": name, "parameters": architectures.get(name).presets[preset]}


def test_the_folder_is_the_list():
    assert {"logistic", "mlp"} <= set(architectures.names())


@pytest.mark.parametrize("name", architectures.names())
def test_it_says_who_it_is(name):
    chosen = architectures.get(name)
    assert chosen.name == name
    assert chosen.title
    assert len(chosen.description) > 40
    assert chosen.presets


@pytest.mark.parametrize("name", architectures.names())
def test_a_form_can_be_rendered_from_its_parameters(name):
    schema = architectures.get(name).Parameters.model_json_schema()
    json.dumps(schema)
    assert schema["additionalProperties"] is False
    for key, entry in schema["properties"].items():
        assert entry.get("title"), key
        assert entry.get("description"), key
        assert "default" in entry, key


@pytest.mark.parametrize("name", architectures.names())
def test_its_defaults_and_presets_are_valid_and_frozen(name):
    chosen = architectures.get(name)
    for values in [{}, *chosen.presets.values()]:
        parameters = architectures.read(name, values)
        assert chosen.Parameters(**parameters.model_dump()) == parameters
    with pytest.raises(ValidationError):
        chosen.Parameters(no_such_parameter=1)


@pytest.mark.parametrize(("name", "preset"), PRESETS)
@pytest.mark.parametrize("outputs", [1, 4])
def test_it_maps_rows_to_logits(name, preset, outputs):
    chosen = architectures.get(name)
    module = chosen.build(nn, 7, outputs, architectures.read(name, chosen.presets[preset]))
    for count in (1, 5):
        assert module(torch.zeros(count, 7)).shape == (count, outputs)


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_no_layer_mixes_examples_or_keeps_buffers(name, preset):
    study = protocol(model=model(name, preset), initialisation="seeded")
    module = load(study, initial_tensors(study))
    assert not list(module.buffers())
    batch = torch.from_numpy(rows(6).features)
    alone = torch.cat([module(row[None]) for row in batch])
    assert torch.allclose(module(batch), alone, atol=1e-6)


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_per_sample_gradients_are_each_samples_own(name, preset):
    study = protocol(model=model(name, preset), initialisation="seeded")
    tensors = initial_tensors(study)
    batch = torch.from_numpy(rows(5).features)
    wrapped = GradSampleModule(load(study, tensors), loss_reduction="sum")
    wrapped(batch.clone().requires_grad_()).square().sum().backward()
    for position, row in enumerate(batch):
        alone = load(study, tensors)
        alone(row[None]).square().sum().backward()
        for shared, own in zip(wrapped.parameters(), alone.parameters(), strict=True):
            assert torch.allclose(shared.grad_sample[position], own.grad, atol=1e-5)


@pytest.mark.parametrize(("name", "preset"), PRESETS)
@pytest.mark.parametrize("classes", [2, 5])
def test_it_trains_privately_from_either_start(name, preset, classes):
    for start in ("zero", "seeded"):
        study = protocol(
            model=model(name, preset), classes=classes, sample_rate=1.0, initialisation=start
        )
        data = rows(60, classes=classes)
        first = initial_tensors(study)
        assert np.isfinite(flat(first)).all()
        assert all(array.dtype == np.float32 for array in first.values())
        moved = quiet_update(study, data, denominator=60.0, steps=4)
        assert np.abs(moved).max() > 0


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_weights_survive_the_way_into_the_module_and_back(name, preset):
    study = protocol(model=model(name, preset), initialisation="seeded")
    tensors = initial_tensors(study)
    again = weights(load(study, tensors))
    assert {n: a.tobytes() for n, a in again.items()} == {
        n: a.tobytes() for n, a in tensors.items()
    }


def test_the_seed_decides_the_start_and_leaves_torch_alone():
    mlp = {"architecture": "mlp"}
    state = torch.random.get_rng_state()
    first, again, other = (
        flat(initial_tensors(protocol(model=mlp, initialisation="seeded", seed=seed)))
        for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_zero_start_favours_no_class():
    assert not flat(initial_tensors(protocol())).any()
    study = protocol(model={"architecture": "mlp"}, classes=3)
    first = load(study, initial_tensors(study))
    assert not first(torch.from_numpy(rows(4).features)).any()


def test_zero_start_lets_hidden_layers_learn():
    study = protocol(
        model={"architecture": "mlp", "parameters": {"hidden": [6]}},
        sample_rate=1.0,
        max_grad_norm=10,
    )
    session_update = quiet_update(study, rows(60), denominator=60.0, steps=5)
    assert (session_update != 0).mean() > 0.9


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"architecture": "resnet"}, r"model\.architecture.*'resnet'.*logistic, mlp"),
        ({"architecture": "logistic", "parameters": {"hidden": [3]}}, r"model\.parameters\.hidden"),
        ({"architecture": "mlp", "parameters": {"hidden": []}}, r"model\.parameters\.hidden"),
        ({"architecture": "mlp", "parameters": {"hidden": [0]}}, r"model\.parameters\.hidden\.0"),
        ({"architecture": "mlp", "parameters": {"activation": "swish"}}, r"parameters\.activation"),
        ({"architecture": "mlp", "parameters": {"hiden": [3]}}, r"it has: hidden, activation"),
    ],
)
def test_a_mistake_names_its_key(section, message):
    with pytest.raises(ArchitectureError, match=message):
        architectures.check(protocol(model=section))


def test_a_right_model_section_passes():
    architectures.check(protocol(model={"architecture": "mlp", "parameters": {"hidden": [8, 4]}}))
