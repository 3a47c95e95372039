"""The private step on a GPU: nothing of two devices meets, and little is waited for.

There is no GPU where these tests run; `pretended` says what they show all the same.
"""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from federation.learning import alone, control, devices, engines, training
from federation.learning.clipping import clipped_sum
from federation.learning.evaluation import histogram, predict
from federation.learning.faults import DeviceAbsent
from federation.learning.grades.float import FloatSum
from federation.learning.initial import initial_tensors
from federation.learning.layout import Layout
from federation.learning.losses import Loss
from federation.learning.rules.convolution import ConvolutionPart
from federation.learning.rules.made import MadePart
from tests.learning.builders import flat, grouped, nothing, protocol, rows
from tests.learning.pretended import Mixed, pretended_cuda

MODELS = {
    "logistic": ({}, (4,)),
    "mlp": ({"hidden": [6, 5], "activation": "relu"}, (4,)),
    "polynomial": ({"hidden": [5]}, (4,)),
    "lstm": ({"hidden": 16, "layers": 2}, (5, 3)),
    "gru": ({"hidden": 16, "layers": 2, "reads": "mean"}, (5, 3)),
    "cnn": ({"channels": [8, 16], "hidden": 8, "normalisation": "group"}, (3, 36, 36)),
    "resnet18": ({"width": 8, "stem": "large"}, (1, 16, 16)),
}
OPACUS = ("logistic", "mlp", "polynomial", "cnn", "resnet18")  # what it can follow
PATIENTS = [0, 0, 1, 2, 2, 2, 2, 3]
CROSSED = ("to the device", "back", "copied", "waited")


def study_of(name, **options):
    parameters, shape = MODELS[name]
    model = {"architecture": name, "parameters": parameters}
    features = math.prod(shape)
    given = {"model": model, "shape": shape, "features": features, "sample_rate": 1.0}
    return protocol(**given | options)


def data_for(study, name, units=None, count=8):
    found = rows(count, features=math.prod(MODELS[name][1]), classes=3)
    return found if units is None else grouped(found, units)


def stepped(study, data, device, *, steps=2, correction=None):
    """The update after some steps without noise (but for the hardened grade's smoothing)."""
    session = training.prepare(
        study, initial_tensors(study), data, 0.0, 4.0, correction, device=device
    )
    for _ in range(steps):
        session.step()
    return flat(session.update())


@pytest.fixture
def gpu(monkeypatch):
    with pretended_cuda(monkeypatch) as device:
        yield device


def agree(study, data, monkeypatch, **options):
    expected = stepped(study, data, "cpu", **options)
    with pretended_cuda(monkeypatch) as device:
        found = stepped(study, data, "cuda", **options)
        assert device.seen["to the device"]
    assert np.abs(expected).max() > 1e-3
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("units", [None, PATIENTS], ids=["rows", "patients"])
@pytest.mark.parametrize("noise", ["float", "hardened"])
@pytest.mark.parametrize("name", MODELS)
def test_every_architecture_steps_on_the_device_alone(name, noise, units, monkeypatch):
    study = study_of(name, classes=3, noise=noise, patients=units is not None)
    agree(study, data_for(study, name, units), monkeypatch)


@pytest.mark.parametrize("noise", ["float", "hardened"])
@pytest.mark.parametrize("name", OPACUS)
def test_so_does_the_engine_that_models_without_a_rule_fall_back_to(name, noise, monkeypatch):
    study = study_of(name, classes=3, noise=noise, engine="opacus", patients=True)
    agree(study, data_for(study, name, PATIENTS), monkeypatch)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_a_row_that_is_not_finite_is_dropped_there_too(name, monkeypatch):
    study = study_of(name, classes=3)
    data = data_for(study, name)
    data.features[3] = np.inf
    agree(study, data, monkeypatch)


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam"])
def test_what_joins_the_gradient_lies_where_it_does(optimiser, monkeypatch):
    pull = 0.0 if optimiser == "adam" else 0.1  # which do not go together
    study = study_of("mlp", classes=2, optimiser=optimiser, class_weights=[1, 3], proximal=pull)
    tensors = initial_tensors(study)
    correction = {name: np.full_like(array, 0.01) for name, array in tensors.items()}
    data = rows(8)
    agree(study, data, monkeypatch, correction=correction)
    assert control.own(correction, correction)


def test_a_batch_of_many_chunks_or_of_nobody_is_made_there(gpu):
    for count, rate in ((9, 1.0), (1, 1e-9)):
        study = study_of("mlp", classes=3, sample_rate=rate)
        session = training.prepare(
            study, initial_tensors(study), data_for(study, "mlp", count=count), 1.0, 4.0
        )
        session.chunk_bytes = 1
        session.step()
        assert session.optimiser.weights.device.type == "cuda"


def test_the_whole_round_and_the_local_baseline_run_there(gpu):
    study = study_of("mlp", classes=3)
    found = training.trained(
        protocol=study,
        tensors=initial_tensors(study),
        data=data_for(study, "mlp"),
        noise_multiplier=1.0,
        batch_denominator=4.0,
        step_done=nothing,
        device="cuda",
    )
    assert np.isfinite(flat(found.priced.tensors)).all()
    assert alone.measured(study, initial_tensors(study), data_for(study, "mlp"), "cuda")
    assert gpu.seen["back"]


@pytest.mark.parametrize("name", MODELS)
def test_predictions_are_the_same_there(name, monkeypatch):
    study = study_of(name, classes=3)
    given = {
        "protocol": study,
        "tensors": initial_tensors(study),
        "features": data_for(study, name).features,
    }
    expected = predict(**given)
    with pretended_cuda(monkeypatch) as device:
        assert predict(**given, device="cuda") == pytest.approx(expected, abs=1e-6)
        assert device.seen["back"] == 1
        given["data"] = data_for(study, name)
        del given["features"]
        found = histogram(**given, noise_multiplier=1.0, device="cuda")
    assert found.tensors["histogram"].shape == (3, 3)


def crossed(device, name, count, units=None):
    """What a step sends, brings back and waits for."""
    study = study_of(name, classes=3, patients=units is not None)
    data = data_for(study, name, units, count)
    session = training.prepare(study, initial_tensors(study), data, 0.0, 4.0)
    session.step()
    device.seen.clear()
    session.step()
    return {kind: device.seen[kind] for kind in CROSSED}


@pytest.mark.parametrize("name", MODELS)
def test_a_step_of_rows_sends_its_batch_and_its_noise_and_asks_once(name, gpu):
    """Whether a row is not finite decides what is computed; nothing else has to be known."""
    few, many = crossed(gpu, name, 8), crossed(gpu, name, 24)
    assert few == many
    assert few == {"to the device": 3, "back": 0, "copied": 0, "waited": 1}


@pytest.mark.parametrize("name", MODELS)
def test_what_a_step_of_patients_waits_for_does_not_grow_with_them(name, gpu):
    few = crossed(gpu, name, 8, PATIENTS)
    many = crossed(
        gpu, name, 24, [*PATIENTS, *(k + 4 for k in PATIENTS), *(k + 8 for k in PATIENTS)]
    )
    assert few == many
    assert (few["to the device"], few["back"], few["copied"]) == (4, 0, 0)


CONVOLUTIONS = [
    nn.Conv2d(8, 32, 3, stride=4, padding=1, groups=2),
    nn.Conv2d(8, 64, (3, 2), stride=2, dilation=(2, 3), groups=4, bias=False),
    nn.Conv2d(8, 70, 3, stride=3),
    nn.Conv1d(8, 64, 5, stride=12),
]


@pytest.mark.parametrize("layer", CONVOLUTIONS)
@pytest.mark.parametrize("units", [None, [0, 0, 1, 2, 2]])
def test_a_convolution_is_added_up_there_as_it_is_here(layer, units, gpu, monkeypatch):
    """By matrix products: what cuDNN would choose may round more than the clip allows."""
    multiplied, seen = ConvolutionPart._multiplied, []
    monkeypatch.setattr(
        ConvolutionPart, "_multiplied", lambda self, g: seen.append(1) or multiplied(self, g)
    )
    features = torch.randn(5, 8, *((41,) if isinstance(layer, nn.Conv1d) else (7, 7)))
    targets = torch.tensor([0, 1, 0, 2, 1])
    found = []
    for place in ("cpu", "cuda"):
        module = nn.Sequential(copy.deepcopy(layer), nn.Flatten()).to(place)
        layout = Layout(None, 5, torch.device(place))
        if units is not None:
            layout = Layout(torch.tensor(units).to(place), 3)
        engine = engines.get("bookkeeping").gradients(module, Loss(), features[:2].to(place))
        found.append(engine.clipped_sum(features.to(place), targets.to(place), layout, 0.5).cpu())
    assert seen == [1]
    assert found[0].norm() > 0.1
    assert torch.allclose(found[0], found[1], atol=1e-6)


def test_what_is_added_is_the_sum_that_was_measured(monkeypatch):
    """On a GPU atomic additions come in any order: the same sum again may be another number."""
    rows = torch.tensor([[1e8], [1.0], [-1e8]])
    layout = Layout(torch.zeros(3, dtype=torch.int64), 1)
    orders = iter([[0, 1, 2], [0, 2, 1]])
    summed = Layout.summed

    def in_any_order(self, given):
        return summed(self, given[next(orders)])

    monkeypatch.setattr(Layout, "summed", in_any_order)
    part = MadePart([nn.Parameter(torch.zeros(1))], [rows])
    factors = (0.5 / part.squares(layout).sqrt()).clamp_max(1.0)
    (added,) = part.weighted(factors, layout)
    assert added.abs() <= 0.5


def unmoved_noise(self, noise_multiplier, denominator):
    return torch.randn(self._size, dtype=torch.float64).add_(self._sum)


def numbered_at_home(self):
    return torch.arange(self.n_units) if self.units is None else self.units.cpu()


def taken_to_numpy(self, noise_multiplier, denominator):
    return torch.from_numpy(self._sum.numpy())


@pytest.mark.parametrize(
    ("kind", "method", "planted", "engine"),
    [
        (FloatSum, "release", unmoved_noise, "bookkeeping"),
        (FloatSum, "release", taken_to_numpy, "bookkeeping"),
        (Layout, "named", numbered_at_home, "opacus"),
    ],
)
def test_a_planted_defect_is_found(kind, method, planted, engine, gpu, monkeypatch):
    """On the processor none of these is wrong."""
    study = study_of("mlp", classes=3, engine=engine)
    monkeypatch.setattr(kind, method, planted)
    stepped(study, data_for(study, "mlp"), "cpu")
    with pytest.raises(Mixed):
        stepped(study, data_for(study, "mlp"), "cuda")


def test_the_pretended_device_refuses_what_cuda_refuses(gpu):
    there, here = torch.ones(3, device="cuda"), torch.ones(3)
    for meet in (
        lambda: there + here,
        lambda: torch.cat([there, here]),
        lambda: there @ here,
        lambda: there[torch.tensor([0])],
        lambda: torch.where(there > 0, there, here),
        lambda: there.add_(here),
        there.numpy,
        lambda: np.asarray(there),
    ):
        with pytest.raises(Mixed):
            meet()
    assert (there * torch.tensor(2.0) + 1).device.type == "cuda"
    assert (there.view(3, 1).t().device, there.detach().device) == (there.device,) * 2
    assert (here + there.cpu()).device.type == "cpu"


def test_clipping_there_waits_for_nothing(gpu):
    given = torch.randn(6, 4, dtype=torch.float64, device="cuda")
    units = torch.arange(6, device="cuda")
    assert clipped_sum(given, units, 6, 1.0).device.type == "cuda"
    assert not gpu.seen["waited"]


def test_the_device_that_is_asked_for_is_there_or_it_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.chosen().type == devices.chosen("cpu").type == "cpu"
    assert devices.described() == "cpu"
    with pytest.raises(DeviceAbsent, match=r"'cuda' is asked for.*machine\.device to 'auto'"):
        devices.chosen("cuda")


def test_a_gpu_is_taken_when_there_is_one_and_keeps_all_of_float32(monkeypatch):
    torch.backends.cudnn.allow_tf32 = True
    with pretended_cuda(monkeypatch):
        assert devices.chosen("cpu").type == "cpu"
        assert torch.backends.cudnn.allow_tf32
        assert devices.chosen().type == devices.chosen("cuda").type == "cuda"
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
