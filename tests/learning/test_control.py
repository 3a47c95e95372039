"""SCAFFOLD's control variates: sums that add up, from nothing but what was released."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.learning import control, personal, strategies
from federation.learning.initial import initial_tensors
from federation.learning.strategies import StrategyError
from federation.learning.training import prepare, trained
from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol
from tests.learning.builders import flat, nothing, protocol, rows

SITES = ("a", "b", "c")
SCAFFOLD = strategies.get("scaffold")
numbers = st.floats(-100, 100, width=32)
# For each round: whose contribution is used, and what each site's noised gradients add up to.
rounds = st.lists(
    st.tuples(st.sets(st.sampled_from(SITES), min_size=1), st.tuples(numbers, numbers, numbers)),
    min_size=1,
    max_size=8,
)


def one(value):
    return {"w": np.array([value], np.float64)}


@given(rounds, st.tuples(*[st.floats(1, 1000)] * 3))
def test_the_sites_controls_always_add_up_to_the_hubs(played, sizes):
    weights = dict(zip(SITES, sizes, strict=True))
    given_out = SCAFFOLD.begun(one(0.0))
    owns = {site: one(0.0) for site in SITES}
    for used, sums in played:
        _, everybodys = control.parted(given_out)
        updates = {}
        for site, gradients in zip(SITES, sums, strict=True):
            correction = {"w": everybodys["w"] - owns[site]["w"]}
            update = {"w": -one(gradients)["w"] - correction["w"]}
            if site in used:  # of the others nothing came, or it was not accepted
                updates[site] = update
                owns[site] = control.own(correction, update)
                assert owns[site]["w"] == pytest.approx(one(gradients)["w"], abs=1e-6)
        given_out = SCAFFOLD.aggregate(given_out, updates, weights)
        expected = sum(weights[site] * owns[site]["w"] for site in SITES) / sum(sizes)
        assert control.parted(given_out)[1]["w"] == pytest.approx(expected, rel=1e-6, abs=1e-4)


@given(st.permutations(SITES), st.tuples(numbers, numbers, numbers))
def test_the_order_of_arrival_changes_no_byte(order, values):
    updates = dict(zip(SITES, map(one, values), strict=True))
    weights = {"a": 1.0, "b": 3.0, "c": 0.5, "absent": 2.0}

    def made(names):
        chosen = {name: updates[name] for name in names}
        turned = {name: weights[name] for name in [*names, "absent"]}
        found = SCAFFOLD.aggregate(SCAFFOLD.begun(one(1.0)), chosen, turned)
        return {name: array.tobytes() for name, array in found.items()}

    assert made(order) == made(SITES)


def test_the_model_moves_as_under_averaging():
    updates, weights = {"a": one(1.0), "b": one(4.0)}, {"a": 1.0, "b": 2.0, "c": 5.0}
    found = SCAFFOLD.aggregate(SCAFFOLD.begun(one(2.0)), updates, weights)
    plain = strategies.get("fedavg").aggregate(one(2.0), updates, weights)
    assert SCAFFOLD.model(found)["w"].tobytes() == plain["w"].tobytes()


def test_no_correction_changes_no_bit():
    data, agreed = rows(40), protocol(sample_rate=1.0)
    first = initial_tensors(agreed)
    zeros = {name: np.zeros_like(array) for name, array in first.items()}
    plain, corrected = (prepare(agreed, first, data, 0.0, 40.0, c) for c in (None, zeros))
    for session in (plain, corrected):
        session.step()
    assert flat(plain.update()).tobytes() == flat(corrected.update()).tobytes()


def test_a_rounds_steps_make_its_correction_once_with_the_sign_turned():
    model = {"architecture": "mlp", "parameters": {"hidden": [3]}, "personal_layers": 1}
    agreed = protocol(model=model, local_steps=7, learning_rate=0.3, initialisation="seeded")
    first = personal.first(agreed)
    correction = {n: np.full_like(a, 0.5) for n, a in first.shared.items()}
    session = prepare(agreed, first.shared | first.own, rows(0), 0.0, 1.0, correction)
    for _ in range(7):
        session.step()
    update = session.update()
    for name in first.shared:
        assert update[name] == pytest.approx(-correction[name], rel=1e-5)
    assert not any(update[name].any() for name in first.own)


def test_what_stays_is_computed_from_what_leaves():
    agreed = protocol()
    correction = {n: np.full_like(a, 0.5) for n, a in initial_tensors(agreed).items()}
    made = trained(
        protocol=agreed,
        tensors=initial_tensors(agreed),
        data=rows(30),
        noise_multiplier=1.0,
        batch_denominator=15.0,
        step_done=nothing,
        correction=correction,
    )
    released, kept = made.priced.tensors, control.parted(made.kept)[1]
    assert set(released) == set(correction) == set(kept)
    for name, array in kept.items():
        assert array.tobytes() == (-released[name] - correction[name]).tobytes()


def away(sites, strategy, count=60):
    """How far the model ends from the pooled optimum, without noise."""
    agreed = protocol(sample_rate=1.0, local_steps=20, learning_rate=1.0, max_grad_norm=100.0)
    chosen = strategies.get(strategy)
    given_out = chosen.begun(initial_tensors(agreed))
    begun = {n: np.zeros_like(a) for n, a in control.parted(given_out)[1].items()}
    owns = dict.fromkeys(sites, begun)
    for _ in range(count):
        model, everybodys = control.parted(given_out)
        updates = {}
        for site, data in sites.items():
            correction = {n: array - owns[site][n] for n, array in everybodys.items()}
            session = prepare(agreed, model, data, 0.0, float(data.n_units), correction)
            for _ in range(agreed.training.local_steps):
                session.step()
            updates[site] = session.update()
            owns[site] = control.own(correction, updates[site])
        given_out = chosen.aggregate(given_out, updates, dict.fromkeys(sites, 1.0))
    return flat(chosen.model(given_out))


def test_it_ends_nearer_to_the_pooled_model_where_sites_are_unlike():
    """Two sites with other patients and other relations: averaging of local optima is biased."""
    random = np.random.default_rng(3)
    sites = {}
    for site, slope, shift in (("a", 3.0, 1.5), ("b", -1.0, -1.0)):
        x = random.normal(size=(200, 4)).astype(np.float32)
        x[:, 0] += shift
        chance = 1 / (1 + np.exp(-slope * x[:, 0] + x[:, 1]))
        y = (random.random(200) < chance).astype(np.int64)
        sites[site] = Encoded(x, y, np.arange(200), 200)
    pooled = Encoded(
        np.concatenate([data.features for data in sites.values()]),
        np.concatenate([data.targets for data in sites.values()]),
        np.arange(400),
        400,
    )
    best = away({"all": pooled}, "fedavg")
    averaged = np.linalg.norm(away(sites, "fedavg") - best)
    corrected = np.linalg.norm(away(sites, "scaffold") - best)
    assert corrected < 0.2 * averaged


def agreed_on(strategy, **sections):
    document = protocol().model_dump(mode="json") | {"aggregation": {"strategy": strategy}}
    training = document["training"] | sections.pop("training", {})
    return Protocol.model_validate(document | {"training": training} | sections)


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"training": {"optimiser": "adam"}}, "choose training.optimiser 'sgd'"),
        ({"training": {"optimiser": "momentum"}}, "choose training.optimiser 'sgd'"),
        ({"training": {"proximal": 0.1}}, "set training.proximal to 0"),
        ({"training": {"classes": {"small": {"local_steps": 1}}}}, "as many steps at every site"),
        ({"audit": {"canaries": 20}}, "leave out audit"),
    ],
)
def test_what_it_cannot_serve_is_refused(sections, says):
    strategies.check(agreed_on("fedavg", **sections))
    strategies.check(agreed_on("scaffold"))
    with pytest.raises(StrategyError, match=rf"aggregation\.strategy: 'scaffold' .*{says}"):
        strategies.check(agreed_on("scaffold", **sections))
