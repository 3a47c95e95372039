"""The study's protocol: everything that decides what leaves a site, as one checked document.

The same document is written in a study file (TOML), kept at the hub, exported by the browser and
approved by the institutions. Its SHA-256 over canonical JSON (RFC 8785) is the protocol digest.
"""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from federation.protocol.canonical import canonical_json, digest

VERSION: Literal[1] = 1
Name = Annotated[str, Field(min_length=1, max_length=200)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Fraction = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
LARGEST_ARRAY = 2**22  # numbers in one row; 16 MiB


class Section(BaseModel):
    """A part of the document: unknown keys are refused, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NumberColumn(Section):
    """A numeric feature, scaled by declared bounds or by a declared public centre and spread."""

    name: Name
    kind: Literal["number"] = "number"
    unit: str = ""
    low: Finite
    high: Finite
    centre: Finite | None = None
    spread: Positive | None = None
    outside: Literal["refuse", "clip"] = "refuse"
    missing: Literal["refuse", "drop", "indicator"] | Finite = "refuse"

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"column {self.name!r}: low must be below high")
        if (self.centre is None) != (self.spread is None):
            raise ValueError(f"column {self.name!r}: give centre and spread together, or neither")
        return self


class CategoryColumn(Section):
    """A categorical feature, encoded as one indicator per declared category."""

    name: Name
    kind: Literal["category"]
    categories: Annotated[list[str], Field(min_length=2, max_length=1000)]
    outside: Literal["refuse", "ignore"] = "refuse"
    missing: Literal["refuse", "drop", "category"] = "refuse"

    @field_validator("categories", mode="before")
    @classmethod
    def _texts(cls, values: Any) -> Any:
        return [_text(value) for value in values] if isinstance(values, list) else values

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.categories)) != len(self.categories):
            raise ValueError(f"column {self.name!r}: a category is named twice")
        return self


class ArrayColumn(Section):
    """An image, or another array of numbers of one shape (channels first), flattened row by row.

    Without centre and spread the bounds are scaled to −1 … 1.
    """

    name: Name
    kind: Literal["array"]
    shape: Annotated[list[Annotated[int, Field(ge=1, le=4096)]], Field(min_length=1, max_length=4)]
    low: Finite = 0
    high: Finite = 255
    centre: Finite | None = None
    spread: Positive | None = None
    outside: Literal["refuse", "clip"] = "refuse"
    other_sizes: Literal["refuse", "resize"] = "refuse"
    missing: Literal["refuse"] = "refuse"

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"column {self.name!r}: low must be below high")
        if (self.centre is None) != (self.spread is None):
            raise ValueError(f"column {self.name!r}: give centre and spread together, or neither")
        if math.prod(self.shape) > LARGEST_ARRAY:
            raise ValueError(f"column {self.name!r}: the shape holds more than 2^22 numbers")
        return self


Column = Annotated[NumberColumn | CategoryColumn | ArrayColumn, Field(discriminator="kind")]


class Windows(Section):
    """Each row of training is a window over one series: `length` rows in their declared order.

    Its class is that of the row `horizon` rows after its last one; the next window begins `step`
    rows later. All windows of one patient are one privacy unit, however they overlap.
    """

    length: Annotated[int, Field(ge=1, le=10_000)]
    horizon: Annotated[int, Field(ge=0, le=10_000)] = 0
    step: Annotated[int, Field(ge=1, le=10_000)] = 1
    order: Annotated[list[Name], Field(min_length=1, max_length=4)]
    series_column: Name | None = None


class Target(Section):
    """The column to predict; each class lists the raw values that mean it."""

    column: Name
    classes: Annotated[list[list[str]], Field(min_length=2, max_length=100)]
    names: list[str] = []

    @field_validator("classes", mode="before")
    @classmethod
    def _lists(cls, values: Any) -> Any:
        if not isinstance(values, list):
            return values
        return [
            [_text(item) for item in value] if isinstance(value, list) else [_text(value)]
            for value in values
        ]

    @model_validator(mode="after")
    def _names(self) -> Self:
        flat = [value for group in self.classes for value in group]
        if len(set(flat)) != len(flat):
            raise ValueError("a target value stands in two classes")
        if self.names and len(self.names) != len(self.classes):
            raise ValueError("give one name per target class")
        return self

    @property
    def labels(self) -> list[str]:
        """One readable name per class."""
        return self.names or [" or ".join(values) for values in self.classes]


class DataContract(Section):
    """What each site's data must look like; every preprocessing constant is public."""

    unit: Literal["row", "patient"] = "row"
    patient_column: Name | None = None
    max_rows_per_patient: Count | None = None
    missing_values: list[str] = ["", "?", "NA", "NaN", "nan"]
    columns: Annotated[list[Column], Field(min_length=1, max_length=10_000)]
    target: Target
    windows: Windows | None = None

    @field_validator("columns", mode="before")
    @classmethod
    def _kinds(cls, columns: Any) -> Any:
        if not isinstance(columns, list):
            return columns
        return [{"kind": "number", **c} if isinstance(c, dict) else c for c in columns]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError("a column is declared twice")
        forecast = self.windows is not None and self.windows.horizon > 0
        if self.target.column in names and not forecast:
            raise ValueError(f"the target {self.target.column!r} is also declared as a feature")
        patient = self.unit == "patient"
        if patient != (self.patient_column is not None):
            raise ValueError("patient_column goes with unit = 'patient', and only with it")
        if patient and self.max_rows_per_patient is None:
            raise ValueError("unit = 'patient' needs max_rows_per_patient, the cap it is held to")
        if self.windows and not patient:
            raise ValueError(
                "windows over a series need unit = 'patient': overlapping windows hold the same "
                "rows, so whose series it is must be the unit"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Left out where absent: older digests stay what they are."""
        document: dict[str, Any] = write(self)
        if document.get("windows", ...) is None:
            del document["windows"]
        return document


class Model(Section):
    """A registered architecture and its parameters (checked by the architecture itself)."""

    architecture: Name
    parameters: dict[str, Any] = {}


class Training(Section):
    """Local DP-SGD, the same at every site."""

    sample_rate: Fraction
    local_steps: Count
    learning_rate: Positive
    max_grad_norm: Positive
    optimiser: Literal["sgd", "momentum", "adam"] = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    initialisation: Literal["zero", "seeded"] = "zero"
    seed: int = 0
    iterate_averaging: Literal["none", "last_half"] = "last_half"
    class_weights: list[Positive] | None = None
    engine: Literal["bookkeeping", "opacus"] = "bookkeeping"
    noise: Literal["float", "hardened"] = "float"

    @model_serializer(mode="wrap")
    def _without_default(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The grade of noise is left out where it is "float": older digests stay what they are."""
        document: dict[str, Any] = write(self)
        if document.get("noise") == "float":
            del document["noise"]
        return document


class Adaptive(Section):
    """Between which noise multipliers the platform may choose, round by round, from what left."""

    least_noise: Positive
    most_noise: Positive

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least_noise > self.most_noise:
            raise ValueError("least_noise is above most_noise; exchange them")
        return self


class Privacy(Section):
    """Target epsilon *or* noise multiplier; the sealed plan is derived from it at submission."""

    target_epsilon: Positive | None = None
    noise_multiplier: Positive | None = None
    target_delta: Annotated[float, Field(ge=1e-10, lt=1)]
    epsilon_budget: Positive | None = None
    schedule: Literal["uniform", "harmonic"] | list[Positive] = "uniform"
    adaptive: Adaptive | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.target_epsilon is None) == (self.noise_multiplier is None):
            raise ValueError("give either target_epsilon or noise_multiplier, not both or neither")
        if self.adaptive and (self.target_epsilon is None or self.schedule != "uniform"):
            raise ValueError(
                "adaptive noise needs a target_epsilon and the uniform schedule: it makes its own"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Left out where absent: older digests stay what they are."""
        document: dict[str, Any] = write(self)
        if document.get("adaptive", ...) is None:
            del document["adaptive"]
        return document


class Aggregation(Section):
    """How contributions become the next model."""

    strategy: Name = "fedavg"
    weights: Literal["equal", "declared"] = "declared"


class Rounds(Section):
    """How many rounds, how many sites each needs, and how long it may wait."""

    count: Annotated[int, Field(ge=1, le=10_000)]
    quorum: Annotated[int, Field(ge=1)] | None = None
    deadline_seconds: Annotated[float, Field(ge=1, le=30 * 86400)] = 600


class Evaluation(Section):
    """Noised histograms from the sites every k rounds (0: never) and public rows at the hub."""

    every: Annotated[int, Field(ge=0)] = 0
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    bins: Annotated[int, Field(ge=2, le=100)] = 10
    noise_multiplier: Positive | None = None
    public_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _priced(self) -> Self:
        if self.every and (self.holdout == 0 or self.noise_multiplier is None):
            raise ValueError("site evaluation needs a holdout above 0 and its own noise_multiplier")
        return self


class Audit(Section):
    """Synthetic canaries at each site, in or out by secret coins, from which ε is bounded below."""

    canaries: Annotated[int, Field(ge=10, le=5000)]


class Member(Section):
    """One institution of the cohort and the size it declares in public (never its exact count)."""

    institution: Slug
    cohort_size: Annotated[int, Field(ge=1, le=10**9)]


class Plan(Section):
    """The sealed noise of every round, derived from the privacy section at submission."""

    noise_multipliers: list[Positive]
    epsilon: str
    accountant: str
    version: str


class Protocol(Section):
    """One study, whole. `plan` is None until the study is submitted."""

    version: Literal[1] = VERSION
    name: Name
    purpose: str = ""
    data: DataContract
    model: Model
    training: Training
    privacy: Privacy
    aggregation: Aggregation = Aggregation()
    rounds: Rounds
    evaluation: Evaluation = Evaluation()
    audit: Audit | None = None
    cohort: list[Member] = []
    plan: Plan | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [member.institution for member in self.cohort]
        if len(set(names)) != len(names):
            raise ValueError("an institution is named twice in the cohort")
        if self.cohort and self.rounds.quorum and self.rounds.quorum > len(self.cohort):
            raise ValueError("rounds.quorum is larger than the cohort")
        schedule = self.privacy.schedule
        if isinstance(schedule, list) and len(schedule) != self.rounds.count:
            raise ValueError("privacy.schedule as a list needs one number per round")
        if self.privacy.adaptive and not (self.evaluation.every or self.evaluation.public_digest):
            raise ValueError(
                "privacy.adaptive chooses from released metrics; add a site evaluation, or public "
                "rows to evaluate on"
            )
        weights = self.training.class_weights
        if weights and len(weights) != len(self.data.target.classes):
            raise ValueError("training.class_weights needs one number per target class")
        return self

    @model_serializer(mode="wrap")
    def _without_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Sections of later versions are left out when absent: older digests stay what they are."""
        document: dict[str, Any] = write(self)
        if document.get("audit", ...) is None:
            del document["audit"]
        return document

    def canonical(self) -> bytes:
        """The exact bytes that are approved: canonical JSON, RFC 8785."""
        return canonical_json(self.model_dump(mode="json"))

    @property
    def digest(self) -> str:
        """SHA-256 of `canonical()`, 64 lower-case hexadecimal digits."""
        return digest(self.canonical())

    @property
    def quorum(self) -> int:
        """Contributions a round needs; the whole cohort unless declared lower."""
        return self.rounds.quorum or len(self.cohort)

    @property
    def canaries(self) -> int:
        """How many canaries each site has; 0 without an audit."""
        return self.audit.canaries if self.audit else 0

    def member(self, institution: str) -> Member:
        """The cohort's entry for `institution`; KeyError when it is not invited."""
        for member in self.cohort:
            if member.institution == institution:
                return member
        raise KeyError(institution)

    def evaluates(self, number: int) -> bool:
        """Whether round `number` (from 1) ends with a histogram from every site."""
        every = self.evaluation.every
        return bool(every) and (number % every == 0 or number == self.rounds.count)


def _text(value: Any) -> Any:
    """A category as the text that stands in a CSV cell (TOML numbers are allowed)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(int(value)) if float(value).is_integer() else repr(value)
