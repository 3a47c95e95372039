"""What the empirical audit shows, on the right build and on one with its noise over the batch.

python -m benchmarks.audit [--seeds 5]
"""

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

import numpy as np

from accounting.dp.accountants import epsilon
from accounting.dp.audit import CONFIDENCE, Measured, audit_delta, measure
from benchmarks.tables import show
from federation.learning import canaries, training
from federation.learning.initial import initial_tensors
from federation.learning.strategies.fedavg import STRATEGY
from federation.protocol import plans
from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors

MLP = {"architecture": "mlp", "parameters": {"hidden": [64]}}
HEADS = (
    *("study", "parameters", "canaries", "rows", "build", "ε (ledger)", "right guesses"),
    *("ε at least", "caught"),
)


@dataclass(frozen=True)
class Case:
    """One kind of study: three sites, random rows of a linear problem that they share."""

    name: str
    features: int
    canaries: int
    rows: int = 60
    rounds: int = 3
    target: float = 1.0
    model: Mapping[str, Any] = field(default_factory=lambda: {"architecture": "logistic"})


CASES = (
    Case("logistic, 13 columns", 13, 100, rows=300, rounds=10),
    Case("logistic, 200 columns", 200, 60),
    Case("logistic, 600 columns", 600, 60),
    Case("logistic, 600 columns", 600, 200),
    Case("logistic, 2000 columns", 2000, 200),
    Case("logistic, 2000 columns, 300 rows", 2000, 200, rows=300),
    Case("MLP 20-64", 20, 60, model=MLP),
    Case("MLP 600-64", 600, 200, model=MLP),
)


def protocol(case: Case, seed: int) -> Protocol:
    """A sealed protocol; another seed has other canaries."""
    document = {
        "name": f"audit {seed}",
        "data": {
            "columns": [{"name": f"x{n}", "low": -1, "high": 1} for n in range(case.features)],
            "target": {"column": "y", "classes": [["0"], ["1"]]},
        },
        "model": dict(case.model),
        "training": {
            "sample_rate": 0.5,
            "local_steps": 4,
            "learning_rate": 0.5,
            "max_grad_norm": 0.5,
            "initialisation": "seeded" if case.model["architecture"] == "mlp" else "zero",
        },
        "privacy": {"target_epsilon": case.target, "target_delta": 1e-5},
        "rounds": {"count": case.rounds},
        "audit": {"canaries": case.canaries},
        "cohort": [{"institution": f"site-{n}", "cohort_size": case.rows} for n in range(3)],
    }
    return plans.seal(Protocol.model_validate(document))


@contextmanager
def noise_over_the_batch() -> Iterator[None]:
    """The gross bug: whoever divides the sum forgets that the noise was divided already."""
    prepare = training.prepare

    def less(
        protocol: Protocol,
        tensors: Tensors,
        data: Encoded,
        noise: float,
        denominator: float,
        *more: Any,
    ) -> training.Session:
        return prepare(protocol, tensors, data, noise / denominator, denominator, *more)

    training.prepare = less
    try:
        yield
    finally:
        training.prepare = prepare


def audited(agreed: Protocol, seed: int) -> dict[str, Measured]:
    """Train at every site with canaries in or out by coin, aggregate, and measure."""
    random = np.random.default_rng(seed)
    slugs = [member.institution for member in agreed.cohort]
    direction = random.normal(size=len(agreed.data.columns))
    coins = {slug: random.integers(0, 2, agreed.canaries) for slug in slugs}
    data = {
        slug: canaries.joined(_rows(agreed, direction, random), agreed, coins[slug].tolist())
        for slug in slugs
    }
    scores = canaries.scores(agreed, list(_rounds(agreed, data)))
    confidence = 1 - (1 - CONFIDENCE) / len(slugs)
    delta = audit_delta(agreed.privacy.target_delta)
    return {slug: measure(scores[slug], coins[slug], delta, confidence) for slug in slugs}


def _rows(agreed: Protocol, direction: np.ndarray, random: np.random.Generator) -> Encoded:
    count = agreed.cohort[0].cohort_size
    x = np.clip(random.normal(size=(count, len(direction))) * 0.4, -1, 1).astype(np.float32)
    return Encoded(x, (x @ direction > 0).astype(np.int64), np.arange(count), count)


def _rounds(agreed: Protocol, data: Mapping[str, Encoded]) -> Iterator[canaries.Seen]:
    model = initial_tensors(agreed)
    assert agreed.plan is not None
    for noise in agreed.plan.noise_multipliers:
        updates: dict[str, Tensors] = {
            slug: training.train(
                protocol=agreed,
                tensors=model,
                data=rows,
                noise_multiplier=noise,
                batch_denominator=plans.batch_denominator(agreed, slug),
                step_done=lambda step: None,
            ).tensors
            for slug, rows in data.items()
        }
        yield canaries.Seen(model, updates, noise)
        model = STRATEGY.aggregate(model, updates, dict.fromkeys(updates, 1.0))


def measured(case: Case, seeds: int, *, broken: bool) -> dict[str, Any]:
    """Every site of every seed; `caught` is the share of studies that are stopped."""
    lowers, shares, caught = [], [], []
    for seed in range(seeds):
        agreed = protocol(case, seed)
        upper = epsilon(plans.plan_events(agreed), 1e-5).epsilon
        if broken:
            with noise_over_the_batch():
                found = audited(agreed, seed)
        else:
            found = audited(agreed, seed)
        lowers += [one.lower for one in found.values()]
        shares += [one.correct / one.guesses for one in found.values()]
        caught.append(any(one.lower > upper for one in found.values()))
    size = sum(array.size for array in initial_tensors(agreed).values())
    return {
        "parameters": size,
        "upper": upper,
        "lower": {"mean": mean(lowers), "least": min(lowers), "most": max(lowers)},
        "right": mean(shares),
        "caught": sum(caught),
        "seeds": seeds,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    rows, record = [], []
    for case in CASES:
        for broken in (False, True):
            found = measured(case, seeds, broken=broken)
            build = "noise / batch" if broken else "right"
            record.append({"case": case.name, "canaries": case.canaries, "build": build, **found})
            rows.append(_line(case, build, found))
    show(HEADS, rows, {"benchmark": "audit", "cases": record})


def _line(case: Case, build: str, found: dict[str, Any]) -> list[str]:
    lower = found["lower"]
    return [
        case.name,
        str(found["parameters"]),
        str(case.canaries),
        str(case.rows),
        build,
        f"{found['upper']:.2f}",
        f"{100 * found['right']:.0f} %",
        f"{lower['mean']:.2f} ({lower['least']:.2f} … {lower['most']:.2f})",
        f"{found['caught']}/{found['seeds']}",
    ]


if __name__ == "__main__":
    main()
