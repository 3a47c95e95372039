"""What `train` promises: exact steps, one event, cancellation, optimisers, public weights."""

import numpy as np
import pytest

from accounting.dp.events import Mechanism
from federation.learning.initial import initial_tensors
from federation.learning.training import Cancelled, train
from tests.learning.builders import flat, grouped, nothing, protocol, rows
from tests.learning.stepping import quiet_update


def run(study, data, *, noise_multiplier=1.0, step_done=nothing, **options):
    return train(
        protocol=study,
        tensors=initial_tensors(study),
        data=data,
        noise_multiplier=noise_multiplier,
        batch_denominator=20.0,
        step_done=step_done,
        **options,
    )


def test_the_event_says_what_was_done():
    (event,) = run(protocol(patients=True), grouped(rows(9), np.arange(9) // 3)).events
    assert event.mechanism is Mechanism.POISSON_GAUSSIAN
    assert (event.noise_multiplier, event.sample_rate, event.steps) == (1.0, 0.5, 3)
    assert (event.max_grad_norm, event.batch_denominator) == (1.0, 20.0)
    assert (event.unit, event.sampler, event.noise_grade) == (
        "patient",
        "poisson",
        "float noise, CSPRNG",
    )


def test_every_step_is_made_and_told():
    steps = []
    run(protocol(local_steps=5), rows(4), step_done=steps.append)
    assert steps == [1, 2, 3, 4, 5]


def test_the_update_has_the_models_form():
    study = protocol(model={"architecture": "mlp", "parameters": {"hidden": [5]}})
    before = initial_tensors(study)
    update = run(study, rows(30)).tensors
    assert {n: (a.shape, a.dtype) for n, a in update.items()} == {
        n: (a.shape, a.dtype) for n, a in before.items()
    }


def test_the_given_model_is_not_changed():
    study = protocol()
    tensors = initial_tensors(study)
    kept = {name: array.copy() for name, array in tensors.items()}
    train(
        protocol=study,
        tensors=tensors,
        data=rows(30),
        noise_multiplier=1.0,
        batch_denominator=15.0,
        step_done=nothing,
    )
    assert flat(tensors) == pytest.approx(flat(kept), abs=0)


def test_cancelling_stops_between_steps():
    steps = []
    with pytest.raises(Cancelled, match="step 3 of 5"):
        run(
            protocol(local_steps=5),
            rows(4),
            step_done=steps.append,
            cancelled=lambda: len(steps) == 2,
        )
    assert steps == [1, 2]


@pytest.mark.parametrize("noise_multiplier", [0.0, -1.0, float("nan")])
def test_training_without_noise_is_refused(noise_multiplier):
    with pytest.raises(ValueError, match="noise_multiplier"):
        run(protocol(), rows(4), noise_multiplier=noise_multiplier)


def test_tensors_of_another_model_are_refused():
    study = protocol()
    other = initial_tensors(protocol(features=9))
    with pytest.raises(ValueError, match="do not belong"):
        train(
            protocol=study,
            tensors=other,
            data=rows(4),
            noise_multiplier=1.0,
            batch_denominator=1.0,
            step_done=nothing,
        )


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam"])
def test_each_optimiser_learns_a_separable_task(optimiser):
    study = protocol(sample_rate=1.0, optimiser=optimiser, learning_rate=0.1)
    data = rows(200)
    data.targets[:] = data.features[:, 0] > 0
    update = quiet_update(study, data, denominator=200.0, steps=20)
    assert update[1] == max(update)
    assert update[1] > 0.1


def test_momentum_starts_afresh_each_time():
    study = protocol(sample_rate=1.0, optimiser="momentum")
    data = rows(50)
    assert quiet_update(study, data) == pytest.approx(quiet_update(study, data), abs=0)


def test_class_weights_scale_their_class():
    common = {"sample_rate": 1.0, "learning_rate": 1.0, "max_grad_norm": 1e6}
    data = rows(30)
    data.targets[:] = 1
    plain = quiet_update(protocol(**common), data)
    weighted = quiet_update(protocol(**common, class_weights=[1.0, 5.0]), data)
    assert weighted == pytest.approx(5 * plain, rel=1e-5)


def test_three_classes_train():
    study = protocol(classes=3, sample_rate=1.0)
    data = rows(90, classes=3)
    assert np.abs(quiet_update(study, data)).max() > 0
