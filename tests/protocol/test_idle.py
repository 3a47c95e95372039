"""What a protocol states without effect is told, and what has one is not."""

import pytest

from federation.protocol.document import Protocol
from federation.protocol.idle import idle
from tests.learning.builders import protocol, rows
from tests.learning.stepping import quiet_update

CASES = [
    ({"optimiser": "momentum", "momentum": 0.99}, ["training.optimiser"]),
    ({"proximal": 1.0}, ["training.proximal"]),
    ({"proximal": 1.0, "optimiser": "momentum"}, ["training.optimiser", "training.proximal"]),
    ({}, []),
    ({"optimiser": "adam"}, []),
]


@pytest.mark.parametrize(("changes", "keys"), CASES)
def test_it_is_told_where_every_site_makes_one_step(changes, keys):
    assert [text.split()[0] for text in idle(protocol(local_steps=1, **changes))] == keys
    assert not idle(protocol(local_steps=2, **changes))


@pytest.mark.parametrize(("stated", "told"), [({"local_steps": 3}, 0), ({"sample_rate": 0.2}, 1)])
def test_a_class_that_makes_more_steps_feels_it(stated, told):
    document = protocol(local_steps=1, proximal=1.0).model_dump()
    document["training"]["classes"] = {"large": stated}
    assert len(idle(Protocol.model_validate(document))) == told


@pytest.mark.parametrize(("changes", "keys"), CASES[:3])
def test_it_is_true(changes, keys):
    """One step is the very same update; two are not."""
    plain, stated = ({"sample_rate": 1.0}, {"sample_rate": 1.0, **changes})
    for steps in (1, 2):
        one, other = (quiet_update(protocol(**t), rows(20), steps=steps) for t in (plain, stated))
        assert ((one == other).all()) == (steps == 1)
