"""Whether the gate lets a value pass says nothing of the rows but what the value itself says."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.dp.events import PrivacyEvent
from federation.learning import control
from federation.protocol import plans
from federation.protocol.document import Protocol
from federation.protocol.messages import Contribution
from federation.protocol.tensors import Tensors, norm
from federation.site.assembly import Site
from federation.site.bounds import Public, largest_histogram, largest_update
from federation.site.folder import Folder
from federation.site.kept import AFTER
from tests.site.conftest import model, patients, study
from tests.site.hub import Hub
from tests.site.playing import play_one

SCAFFOLD = study(aggregation={"strategy": "scaffold"})
EVENT = plans.round_events(SCAFFOLD, 1, "north")["train"]
SIZE = sum(array.size for array in model().values())


def everywhere(value: float) -> Tensors:
    return {name: np.full_like(array, value) for name, array in model().items()}


def public(protocol: Protocol = SCAFFOLD, event: PrivacyEvent = EVENT, **changes: object) -> Public:
    given = Public(protocol, model(), event, everywhere(0.0), declared=60)
    return replace(given, **changes)


def rounded_to(units: float) -> Tensors:
    """What a dishonest hub gives out to hear whether a site has more than so many units.

    Weights so large that every step, made of a control just below one ulp, rounds to one ulp: the
    update's length is known beforehand, and lies `units` clipped gradients above the control's.
    """
    training = SCAFFOLD.training
    gradient = units + EVENT.noise_multiplier * (math.sqrt(SIZE) + 10)
    step = training.learning_rate * gradient / EVENT.batch_denominator / math.sqrt(SIZE)
    ulp = 2.0 ** math.ceil(math.log2(step * 1000))
    correction = everywhere(EVENT.steps * (ulp - step))
    return control.joined(everywhere(1.5 * ulp * 2**23), correction)


@pytest.mark.parametrize("count", [1, 79, 80])
def test_no_model_makes_it_tell_how_many_units_there_are(
    site: Site, hub: Hub, folder: Folder, count: int
) -> None:
    hub.approve(SCAFFOLD)
    (folder.path / "heart.csv").write_text(patients(count))
    for attempt, units in enumerate((0.5, 57.5, 58.5, 1e3), start=1):
        uid = hub.assign(SCAFFOLD, rounded_to(units), attempt=attempt, parameters={AFTER: ""})
        assert play_one(site, hub, uid)
        assert isinstance(hub.answer(uid, 0), Contribution)


@given(
    weights=st.floats(-60, 60).map(lambda power: 2.0**power),
    share=st.floats(0.25, 4.0),
    start=st.floats(1.0, 2.0),
)
def test_rounding_never_takes_an_update_past_it(weights: float, share: float, start: float) -> None:
    """Steps of about one ulp are those that rounding lengthens most, by half of themselves."""
    begun = {name: array * np.float32(start) for name, array in everywhere(weights).items()}
    correction = everywhere(share * EVENT.steps * np.spacing(np.float32(weights)))
    moved = {name: array.copy() for name, array in begun.items()}
    for name, array in moved.items():
        for _ in range(EVENT.steps):
            array[...] = array - correction[name] / np.float64(EVENT.steps)
    update = {name: moved[name] - begun[name] for name in moved}
    assert norm(update) <= largest_update(public(shared=begun, correction=correction))


def test_it_is_so_many_clipped_gradients_and_so_much_noise() -> None:
    """4 steps of 0.5, each of 100·30 + 100 clipped gradients and noise 2·(√5 + 10), over 30."""
    found = largest_update(public())
    assert found == pytest.approx(4 * 0.5 * (3100 + 2 * (5**0.5 + 10)) / 30, rel=1e-5)
    assert largest_update(public(correction=everywhere(3.0))) == pytest.approx(found + 3 * 5**0.5)


@pytest.mark.parametrize("changes", [{"optimiser": "momentum"}, {"optimiser": "adam"}])
def test_every_optimiser_has_one(changes: dict[str, str]) -> None:
    training = SCAFFOLD.training.model_dump() | changes
    found = largest_update(public(study(training=training)))
    expected = {"momentum": 10 * largest_update(public()), "adam": 4 * 0.5 * 7.3 * 5**0.5}
    assert found == pytest.approx(expected[changes["optimiser"]], rel=1e-5)


def test_a_histogram_has_as_many_units_as_are_held_out() -> None:
    event = plans.round_events(SCAFFOLD, 3, "north")["evaluate"]
    found = largest_histogram(public(event=event))
    assert found == pytest.approx(100 * 60 * 0.25 + 100 + 4 * (20**0.5 + 10))


def test_an_audits_canaries_are_units_too() -> None:
    audited = study(audit={"canaries": 5000})
    assert largest_update(public(audited)) > 50 * largest_update(public())


@pytest.mark.parametrize("phase", ["train", "evaluate"])
def test_it_is_settled_before_a_row_is_read(
    folder: Folder,
    hub: Hub,
    assembled: Callable[[Folder], Site],
    monkeypatch: pytest.MonkeyPatch,
    phase: str,
) -> None:
    hub.approve(study())
    bounds = []
    for count in (1, 80):
        (folder.path / "heart.csv").write_text(patients(count))
        site = assembled(folder)
        release = site.parts.gate.release

        def seen(permit, priced, release=release):
            bounds.append(permit.largest_norm)
            return release(permit, priced)

        monkeypatch.setattr(site.parts.gate, "release", seen)
        assert play_one(
            site, hub, hub.assign(study(), model(), round=3, phase=phase, attempt=count)
        )
        site.close()
    assert bounds[0] == bounds[1]
