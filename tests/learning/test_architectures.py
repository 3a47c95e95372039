"""Every architecture in the folder keeps the promise: one suite, parametrised over the names."""

import json
import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from federation.learning import architectures
from federation.learning.architectures import ArchitectureError
from federation.learning.initial import initial_tensors
from federation.learning.modules import load, weights
from federation.learning.shapes import Takes
from tests.learning.builders import flat, protocol, rows
from tests.learning.stepping import quiet_update

PRESETS = [
    (name, preset) for name in architectures.names() for preset in architectures.get(name).presets
]
SHAPES = {Takes.FEATURES: (4,), Takes.WINDOWS: (5, 3), Takes.IMAGES: (3, 28, 28)}


def study_of(name, preset, **options):
    section = {"architecture": name, "parameters": architectures.get(name).presets[preset]}
    return protocol(model=section, shape=shape_for(name), **options)


def shape_for(name):
    return SHAPES[architectures.get(name).takes]


def rows_for(name, count, **options):
    return rows(count, features=math.prod(shape_for(name)), **options)


def test_the_folder_is_the_list():
    known = {"cnn", "gru", "logistic", "lstm", "mlp", "polynomial", "resnet18"}
    assert known <= set(architectures.names())


@pytest.mark.parametrize("name", architectures.names())
def test_it_says_who_it_is(name):
    chosen = architectures.get(name)
    assert chosen.name == name
    assert chosen.title
    for text in (chosen.description, chosen.when):
        assert len(text) > 40
        assert text.endswith(".")
    assert any(word in chosen.source for word in ("doi ", "arXiv ", "proceedings."))
    assert chosen.takes in Takes
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
    shape = shape_for(name)
    module = chosen.build(nn, shape, outputs, architectures.read(name, chosen.presets[preset]))
    for count in (1, 3):
        assert module(torch.zeros(count, math.prod(shape))).shape == (count, outputs)


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_no_layer_mixes_examples_or_keeps_buffers(name, preset):
    study = study_of(name, preset, initialisation="seeded")
    module = load(study, initial_tensors(study))
    assert not list(module.buffers())
    batch = torch.from_numpy(rows_for(name, 4).features)
    alone = torch.cat([module(row[None]) for row in batch])
    assert torch.allclose(module(batch), alone, atol=1e-5)


@pytest.mark.parametrize(("name", "preset"), PRESETS)
@pytest.mark.parametrize("classes", [2, 5])
def test_it_trains_privately_from_either_start(name, preset, classes):
    for start in ("zero", "seeded"):
        study = study_of(name, preset, classes=classes, sample_rate=1.0, initialisation=start)
        data = rows_for(name, 8, classes=classes)
        first = initial_tensors(study)
        assert np.isfinite(flat(first)).all()
        assert all(array.dtype == np.float32 for array in first.values())
        moved = quiet_update(study, data, denominator=8.0, steps=2)
        # A zero output layer lets nothing behind it move in step 1, all of it in step 2.
        assert (moved != 0).mean() > 0.3


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_weights_survive_the_way_into_the_module_and_back(name, preset):
    study = study_of(name, preset, initialisation="seeded")
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
        ({"architecture": "vgg"}, r"model\.architecture.*'vgg'.*logistic, lstm, mlp"),
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


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_it_counts_its_layers(name, preset):
    study = study_of(name, preset)
    module = load(study, initial_tensors(study))
    with_weights = [m for m in module.modules() if list(m.parameters(recurse=False))]
    parameters = architectures.read(name, study.model.parameters)
    assert architectures.get(name).layers(parameters) == len(with_weights)


def test_keeping_every_layer_at_the_sites_is_refused():
    mlp = {"architecture": "mlp", "parameters": {"hidden": [8, 4]}}
    architectures.check(protocol(model=mlp | {"personal_layers": 2}))
    for section, own in ((mlp, 3), (mlp, 9), ({"architecture": "logistic"}, 1)):
        with pytest.raises(ArchitectureError, match=r"model\.personal_layers: .*must be shared"):
            architectures.check(protocol(model=section | {"personal_layers": own}))
