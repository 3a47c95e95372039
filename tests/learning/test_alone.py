"""One site alone under the protocol: the same steps with nobody else in the rounds."""

import numpy as np
import pytest

from federation.learning import alone
from federation.learning.averaging import last_half
from federation.learning.initial import initial_tensors
from federation.learning.strategies import get
from federation.learning.training import prepare
from federation.protocol.contract import Encoded
from federation.protocol.document import Member, Plan, Protocol
from tests.learning.builders import protocol, rows

ROUNDS = 4


def study(**training):
    settings = {"sample_rate": 1.0, "learning_rate": 0.5, "initialisation": "seeded"}
    agreed = protocol(**settings | training)
    plan = Plan(noise_multipliers=[3.0] * ROUNDS, epsilon="1", accountant="pld", version="test")
    changes = {
        "plan": plan,
        "cohort": [Member(institution="north", cohort_size=40)],
        "rounds": agreed.rounds.model_copy(update={"count": ROUNDS}),
    }
    return agreed.model_copy(update=changes)


@pytest.mark.parametrize("reported", ["last_half", "none"])
def test_it_is_the_protocol_with_a_cohort_of_one(reported):
    agreed, data, seen = study(iterate_averaging=reported), rows(40), []
    found = alone.trained_alone(agreed, "north", data, noised=False, round_done=seen.append)
    model, iterates = initial_tensors(agreed), []
    for _ in range(ROUNDS):
        session = prepare(agreed, model, data, 0.0, 40.0)
        for _ in range(agreed.training.local_steps):
            session.step()
        model = get("fedavg").aggregate(model, {"north": session.update()}, {"north": 40.0})
        iterates.append(model)
    expected = last_half(iterates) if reported == "last_half" else model
    for name in expected:
        assert found[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-6)
    assert seen == [1, 2, 3, 4]


def test_the_studys_noise_is_the_plans():
    """Without rows the model moves by noise alone: deviation σ·C·η/denominator, √steps of them."""
    agreed = study(iterate_averaging="none", initialisation="zero")
    steps = ROUNDS * agreed.training.local_steps
    draws = [
        alone.trained_alone(agreed, "north", rows(0), noised=True, round_done=lambda _: None)
        for _ in range(100)
    ]
    values = np.concatenate([array.ravel() for draw in draws for array in draw.values()])
    assert np.std(values) == pytest.approx(3.0 * 0.5 / 40 * np.sqrt(steps), rel=0.12)
    quiet = alone.trained_alone(agreed, "north", rows(0), noised=False, round_done=lambda _: None)
    assert not any(array.any() for array in quiet.values())


def test_a_model_is_measured_on_its_rows():
    data = rows(500)
    data.targets[:] = data.features[:, 0] > 0
    right = {"weight": np.array([[9, 0, 0, 0]], np.float32), "bias": np.zeros(1, np.float32)}
    found = alone.measured(study(), right, data)
    assert (found["accuracy"], found["auc"]) == (1.0, 1.0)
    assert alone.measured(study(), right, rows(0))["accuracy"] is None


def test_a_model_of_a_number_is_measured_in_its_unit():
    document = study().model_dump(mode="json")
    document["data"]["target"] = {"column": "y", "kind": "number", "low": 0, "high": 50}
    agreed = Protocol.model_validate(document)
    constant = {"weight": np.zeros((1, 4), np.float32), "bias": np.zeros(1, np.float32)}
    data = rows(10)
    data = Encoded(data.features, np.full(10, 0.2, np.float32), data.units, data.n_units)
    found = alone.measured(agreed, constant, data)  # says 25 where 30 is true
    assert found["mae"] == pytest.approx(5)
    assert found["bias"] == pytest.approx(-5)
    assert alone.measured(agreed, constant, rows(0))["mae"] is None
