"""What a closed phase makes: the next model, its average, its metrics. Imports torch; only tasks.

Nothing here writes a row: results are computed first, without any lock, and committed by
services/advancing in a short transaction that checks that nothing changed meanwhile.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from federation import phases
from federation.learning import architectures, averaging, evaluation, metrics, personal, strategies
from federation.models import Checkpoint, Round
from federation.protocol import contract
from federation.protocol.document import DataContract, NumberTarget, Protocol
from federation.protocol.tensors import MAX_BYTES, TensorError, Tensors, pack, unpack
from federation.selectors.used import why_anew
from federation.services import blobs, public_rows, rounds
from federation.services.opening import Anew
from studies.models import Participation, Study
from studies.selectors.protocols import protocol_of

LEAST_SITES = 3  # no figure over fewer contributions is shown anywhere (SECURITY 5.14)


class CannotMake(Exception):
    """The phase cannot be closed with what is stored; the message says what is missing."""


@dataclass(frozen=True)
class Model:
    """A model in the blob store, before its checkpoint row."""

    digest: str
    reported_digest: str
    contributors: tuple[str, ...] = ()
    metrics: dict[str, Any] = field(default_factory=dict)


def first_model(study: Study) -> Model:
    """The model that round 1 starts from, by the protocol alone, with its public metrics.

    Raises CannotMake when it is larger than what travels, before any site is asked.
    """
    protocol = protocol_of(study)
    try:
        first = personal.first(protocol)
    except architectures.ArchitectureError as error:
        raise CannotMake(str(error)) from error
    size = sum(array.nbytes for array in first.given.values())
    limit = min(MAX_BYTES, settings.SITE_API_MAX_BODY)
    if size > limit:
        raise CannotMake(
            f"the model takes {size / 2**20:.0f} MiB and at most {limit / 2**20:.0f} travel; "
            "revise the study to a smaller one"
        )
    reported = blobs.put(pack(first.shared))
    digest = blobs.put(pack(first.given))
    return Model(digest, reported, metrics=_public(study, protocol, first.shared))


def begun_anew(study: Study, parts: list[Participation]) -> Anew | None:
    """The last model with all that the strategy gives out beside it as at the beginning.

    None where sites go on from what they have. Raises CannotMake as `next_model`.
    """
    strategy = strategies.get(protocol_of(study).aggregation.strategy)
    asked = {part.institution_id for part in parts}
    why = why_anew(study, asked) if strategy.continues else ""
    if not why:
        return None
    last = Checkpoint.objects.filter(study=study).latest("number")
    return Anew(blobs.put(pack(strategy.begun(strategy.model(load(last.digest))))), why)


def next_model(round_: Round) -> Model:
    """Aggregate the accepted updates of `round_`, average the iterates, evaluate on public rows.

    Raises CannotMake when a stored blob is missing or damaged.
    """
    study = round_.study
    protocol = protocol_of(study)
    last = Checkpoint.objects.get(study=study, number=round_.number - 1)
    strategy = strategies.get(protocol.aggregation.strategy)
    before = load(round_.anew_digest or last.digest)
    like = strategy.model(before)
    updates = {
        row.assignment.institution.slug: load(row.tensors_digest, like)
        for row in rounds.accepted(round_, phases.TRAIN.name)
    }
    asked = round_.assignments.filter(phase=phases.TRAIN.name)
    slugs = asked.values_list("institution__slug", flat=True)
    weights = {slug: _weight(protocol, slug) for slug in slugs}
    made = strategy.aggregate(before, updates, weights)
    digest = blobs.put(pack(made))
    reported = strategy.model(_reported(round_, protocol, made))
    return Model(
        digest,
        blobs.put(pack(reported)),
        tuple(sorted(updates)),
        _public(study, protocol, reported),
    )


def site_metrics(round_: Round) -> dict[str, Any]:
    """Metrics of the reported model, from the sum of the sites' noised histograms.

    The sum's noise is that of all contributors together. Fewer than LEAST_SITES contributions,
    or a lost blob, give no figure, only who contributed and why it is withheld.
    """
    protocol = protocol_of(round_.study)
    like = phases.EVALUATE.answer(protocol, {})
    rows = list(rounds.accepted(round_, phases.EVALUATE.name))
    noise = protocol.evaluation.noise_multiplier or 0.0
    found: dict[str, Any] = {
        "contributors": [row.assignment.institution.slug for row in rows],
        "noise_standard_deviation": noise * len(rows) ** 0.5,
        "noised": True,
    }
    if len(rows) < LEAST_SITES:
        return found | {"withheld": f"fewer than {LEAST_SITES} institutions contributed"}
    try:
        counts = [load(row.tensors_digest, like)["histogram"] for row in rows]
    except CannotMake as error:
        return found | {"withheld": str(error)}  # the model itself stands
    whole = np.sum(counts, axis=0, dtype=np.float64)
    return found | _from_histogram(protocol, whole, found["noise_standard_deviation"])


def _from_histogram(
    protocol: Protocol, histogram: NDArray[np.float64], noise: float
) -> dict[str, Any]:
    target = protocol.data.target
    if isinstance(target, NumberTarget):
        return metrics.from_errors(histogram, target.span, noise)
    return metrics.from_histogram(histogram)


def load(digest: str, like: Tensors | None = None) -> Tensors:
    """Stored tensors, shaped as `like` when given. Raises CannotMake: missing or damaged."""
    try:
        return unpack(blobs.read(digest), like)
    except FileNotFoundError as error:
        raise CannotMake(
            f"tensors {digest[:12]}… are missing from the blob store; restore the file"
        ) from error
    except TensorError as error:
        raise CannotMake(f"tensors {digest[:12]}… are damaged: {error}") from error


def _weight(protocol: Protocol, slug: str) -> float:
    declared = protocol.aggregation.weights == "declared"
    return float(protocol.member(slug).cohort_size) if declared else 1.0


def _reported(round_: Round, protocol: Protocol, made: Tensors) -> Tensors:
    if protocol.training.iterate_averaging != "last_half":
        return made
    taken = averaging.window(round_.number)
    earlier = Checkpoint.objects.filter(
        study=round_.study, number__gt=round_.number - taken, number__lt=round_.number
    )
    models = [load(digest) for digest in earlier.values_list("digest", flat=True)] + [made]
    # last_half looks at the last `taken` only: the others need not be read from disk.
    return averaging.last_half([made] * (round_.number - len(models)) + models)


def _public(study: Study, protocol: Protocol, tensors: Tensors) -> dict[str, Any]:
    if not study.public_evaluation:
        return {}
    try:
        rows = _public_rows(Path(study.public_evaluation.path), protocol.data.model_dump_json())
    except (contract.ContractError, FileNotFoundError) as error:
        raise CannotMake(f"the public evaluation file cannot be used: {error}") from error
    found = evaluation.measured(protocol=protocol, tensors=tensors, rows=rows)
    return {"public": {**found, "rows": len(rows.targets)}}


@lru_cache(maxsize=4)
def _public_rows(file: Path, data: str) -> contract.Encoded:
    """The public rows, encoded once per file and contract; of few studies, images are large."""
    return public_rows.read(file, DataContract.model_validate_json(data))
