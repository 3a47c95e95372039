"""What was done to the data: the events that the ledger stores and every ε is derived from."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from functools import lru_cache
from typing import Any, Self, SupportsFloat

SAMPLERS = ("poisson", "full_batch")
NOISE_GRADES = ("float noise, CSPRNG", "hardened")
NEIGHBOURING = ("add_remove",)

MOST_STEPS = 10**12
LEAST_NOISE, MOST_NOISE = 1e-6, 1e12
LEAST_RATE = 1e-12
MOST_ROWS = 1000

_NUMBERS = ("noise_multiplier", "sample_rate", "max_grad_norm", "batch_denominator")
_REQUIRED = frozenset({"mechanism", "noise_multiplier", "sample_rate", "steps"})


class UnknownEvent(ValueError):
    """The event is of a kind that no accountant here can price."""


class Mechanism(StrEnum):
    """The mechanisms that can be priced: Gaussian noise on a Poisson sample, or on all rows."""

    POISSON_GAUSSIAN = "poisson_sampled_gaussian"
    GAUSSIAN = "gaussian"


@dataclass(frozen=True)
class PrivacyEvent:
    """`steps` equal releases of Gaussian noise on sums clipped to `max_grad_norm`.

    `noise_multiplier` is the noise's standard deviation divided by `max_grad_norm`, the L2 norm
    that one privacy unit may contribute to a sum; `sample_rate` is the probability with which
    each unit takes part in a step. `rows_per_unit` k > 1 says that one unit owns up to k rows which
    are sampled and clipped one by one: in a step it contributes Binomial(k, sample_rate) times
    `max_grad_norm`. Mechanism and these four decide ε; the rest describes.

    Raises:
        UnknownEvent: the mechanism, sampler, noise grade or neighbouring relation is not known.
        ValueError: a number is out of its range.
    """

    mechanism: Mechanism
    noise_multiplier: float
    sample_rate: float
    steps: int
    max_grad_norm: float | None = None
    batch_denominator: float | None = None
    sampler: str = "poisson"
    noise_grade: str = NOISE_GRADES[0]
    unit: str = "row"
    neighbouring: str = "add_remove"
    rows_per_unit: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be priced, and keep one form of each value."""
        object.__setattr__(self, "mechanism", _mechanism(self.mechanism))
        for name in _NUMBERS:
            value = getattr(self, name)
            if value is not None or name in _REQUIRED:
                object.__setattr__(self, name, _positive(name, value))
        _check_counts(self)
        _check_words(self)

    def to_json(self) -> dict[str, str | int | None]:
        """All fields; numbers as the shortest decimal strings that read back exactly.

        rows_per_unit is left out where it is 1, as it was before it existed: stored rows and
        their digests stay what they were.
        """
        document = asdict(self)
        if self.rows_per_unit == 1:
            del document["rows_per_unit"]
        for name in _NUMBERS:
            value = document[name]
            document[name] = None if value is None else repr(value)
        return document | {"mechanism": self.mechanism.value}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            UnknownEvent: a key or a named kind is not known.
            ValueError: a required key is missing, or a number is malformed or out of range.
        """
        _check_keys(document)
        values = dict(document)
        for name in _NUMBERS:
            if values.get(name) is not None:
                values[name] = number(name, values[name])
        return cls(**values)


def number(name: str, value: object) -> float:
    """A float from a decimal string or a JSON number. Raises ValueError with the name in it."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{name} is {value!r}; give a number or a decimal string")
    try:
        return float(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name} is {value!r}, which is not a decimal number") from error


Price = tuple[float, float, int, int]  # noise_multiplier, sample_rate, rows_per_unit, steps


def prices(events: Iterable[PrivacyEvent]) -> tuple[Price, ...]:
    """All that decides ε: steps added per (noise_multiplier, sample_rate, rows_per_unit), sorted.

    Histories that differ only by order or by splitting equal events give the same, hence the
    same ε.
    """
    steps: dict[tuple[float, float, int], int] = {}
    for event in events:
        key = (event.noise_multiplier, event.sample_rate, event.rows_per_unit)
        steps[key] = steps.get(key, 0) + event.steps
    return tuple([(*key, steps[key]) for key in sorted(steps)])


def merged(events: Iterable[PrivacyEvent]) -> tuple[PrivacyEvent, ...]:
    """One event for each of `prices`.

    Descriptions are dropped; a sample rate of 1 is the plain Gaussian mechanism.
    """
    return priced(prices(events))


def priced(found: Iterable[Price]) -> tuple[PrivacyEvent, ...]:
    """The events that `prices` summed up."""
    return tuple([_plain(*price) for price in found])


@lru_cache(maxsize=4096)
def _plain(noise: float, rate: float, rows: int, steps: int) -> PrivacyEvent:
    """The event without its description; kept, for a growing history is merged at every round."""
    return PrivacyEvent(_kind(rate), noise, rate, steps, rows_per_unit=rows)


def _kind(sample_rate: float) -> Mechanism:
    return Mechanism.GAUSSIAN if sample_rate == 1.0 else Mechanism.POISSON_GAUSSIAN


def _mechanism(value: str) -> Mechanism:
    try:
        return Mechanism(value)
    except ValueError as error:
        known = ", ".join(Mechanism)
        raise UnknownEvent(
            f"mechanism {value!r} has no known price; record one of: {known}"
        ) from error


def _positive(name: str, value: object) -> float:
    if type(value) is not float and (
        isinstance(value, str | bool) or not isinstance(value, SupportsFloat)
    ):
        raise ValueError(f"{name} is {value!r}; give a positive number")
    size = float(value)
    if not math.isfinite(size) or size <= 0:
        raise ValueError(f"{name} is {value!r}; it must be finite and greater than 0")
    return size


def _check_counts(event: PrivacyEvent) -> None:
    if not LEAST_RATE <= event.sample_rate <= 1:
        raise ValueError(
            f"sample_rate is {event.sample_rate}; it is a probability, so give a number from "
            f"{LEAST_RATE} to 1"
        )
    if not LEAST_NOISE <= event.noise_multiplier <= MOST_NOISE:
        raise ValueError(
            f"noise_multiplier is {event.noise_multiplier}; give one from {LEAST_NOISE} to "
            f"{MOST_NOISE:g}, beyond which no accountant can compute"
        )
    if event.mechanism is Mechanism.GAUSSIAN and event.sample_rate != 1:
        raise ValueError(
            f"a {event.mechanism} event uses every row, but sample_rate is {event.sample_rate}; "
            f"give 1.0, or record {Mechanism.POISSON_GAUSSIAN}"
        )
    if isinstance(event.steps, bool) or not isinstance(event.steps, int) or event.steps < 1:
        raise ValueError(f"steps is {event.steps!r}; give a whole number of at least 1")
    if event.steps > MOST_STEPS:
        raise ValueError(f"steps is larger than {MOST_STEPS}; no run takes that many")
    _check_rows(event.rows_per_unit)


def _check_rows(rows: object) -> None:
    if isinstance(rows, bool) or not isinstance(rows, int) or not 1 <= rows <= MOST_ROWS:
        raise ValueError(
            f"rows_per_unit is {rows!r}; give a whole number from 1 to {MOST_ROWS}, the cap to "
            "which the rows of one unit are held"
        )


def _check_words(event: PrivacyEvent) -> None:
    known = {"sampler": SAMPLERS, "noise_grade": NOISE_GRADES, "neighbouring": NEIGHBOURING}
    for name, choices in known.items():
        if getattr(event, name) not in choices:
            raise UnknownEvent(
                f"{name} {getattr(event, name)!r} is not known; give one of: {', '.join(choices)}"
            )
    if event.sampler == "full_batch" and event.sample_rate != 1:
        raise UnknownEvent(
            f"sampler full_batch with sample_rate {event.sample_rate}: no amplification can be "
            "claimed without Poisson sampling; give sample_rate 1.0"
        )
    if not isinstance(event.unit, str) or not event.unit:
        raise ValueError("unit is empty; name the privacy unit, for instance 'row' or 'patient'")


def _check_keys(document: Mapping[str, Any]) -> None:
    if not isinstance(document, Mapping):
        raise ValueError(f"an event is a JSON object, not {type(document).__name__}")
    unknown = sorted(set(document) - {field.name for field in fields(PrivacyEvent)})
    if unknown:
        raise UnknownEvent(
            f"unknown keys in a privacy event: {', '.join(unknown)}; an event is priced only when "
            "every part of it is understood"
        )
    missing = sorted(_REQUIRED - set(document))
    if missing:
        raise ValueError(f"a privacy event lacks: {', '.join(missing)}")
