"""The study's protocol: everything that decides what leaves a site, as one checked document.

The same document is written in a study file (TOML), kept at the hub, exported by the browser and
approved by the institutions. Its SHA-256 over canonical JSON (RFC 8785) is the protocol digest.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from federation.protocol.canonical import canonical_json, digest
from federation.protocol.data_contract import (
    ArrayColumn,
    CategoryColumn,
    Column,
    Count,
    DataContract,
    Finite,
    Fraction,
    Name,
    NumberColumn,
    NumberTarget,
    Positive,
    Section,
    Slug,
    Target,
    Windows,
)
from federation.protocol.machines import ClassPlan, ClassTraining, MachineClass, own, used

__all__ = [
    "VERSION",
    "Adaptive",
    "Aggregation",
    "ArrayColumn",
    "Audit",
    "CategoryColumn",
    "Column",
    "Count",
    "DataContract",
    "Evaluation",
    "Finite",
    "Fraction",
    "Member",
    "Model",
    "Name",
    "NumberColumn",
    "NumberTarget",
    "Plan",
    "Positive",
    "Privacy",
    "Protocol",
    "Rounds",
    "Section",
    "Slug",
    "Target",
    "Training",
    "Windows",
]

VERSION: Literal[1] = 1

EXACT = 2**53 - 1  # whole numbers up to here are themselves in JSON, and in the protocol's digest

# Within these no sum of any round overflows, at a site or at the hub: whatever is refused for its
# size is refused here, before anything is charged.
MOST_NOISE = 1e6  # in clipping norms; the ε of one step is then far below 0.00001
Multiplier = Annotated[float, Field(gt=0, le=MOST_NOISE)]
# Below 1e-12 float32 is too coarse to clip by; gradients that short teach nothing.
Clip = Annotated[float, Field(ge=1e-12, le=1e6)]
Rate = Annotated[float, Field(ge=1e-12, le=1e6)]
Weight = Annotated[float, Field(ge=1e-6, le=1e6)]


class Model(Section):
    """A registered architecture and its parameters (checked by the architecture itself)."""

    architecture: Name
    parameters: dict[str, Any] = {}
    personal_layers: Annotated[int, Field(ge=0, le=1000)] = 0

    @model_serializer(mode="wrap")
    def _without_default(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Left out where every layer is shared: older digests stay what they are."""
        document: dict[str, Any] = write(self)
        if document.get("personal_layers") == 0:
            del document["personal_layers"]
        return document


class Training(Section):
    """Local DP-SGD, the same at every site but for what `classes` of machine are given."""

    sample_rate: Fraction
    local_steps: Count
    learning_rate: Rate
    max_grad_norm: Clip
    optimiser: Literal["sgd", "momentum", "adam"] = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    initialisation: Literal["zero", "seeded"] = "zero"
    seed: Annotated[int, Field(ge=-EXACT, le=EXACT)] = 0
    iterate_averaging: Literal["none", "last_half"] = "last_half"
    class_weights: list[Weight] | None = None
    engine: Literal["bookkeeping", "opacus"] = "bookkeeping"
    noise: Literal["float", "hardened"] = "float"
    proximal: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    classes: dict[MachineClass, ClassTraining] = {}

    @model_validator(mode="after")
    def _steady(self) -> Self:
        if self.optimiser == "adam" and self.proximal:
            raise ValueError(
                "proximal does not go with adam, which makes of any pull, however weak, a step as "
                "long as its others, so that models end on the far side of the round's; leave it "
                "at 0, or choose sgd or momentum"
            )
        if self.proximal * self.learning_rate > 1:
            raise ValueError(
                "proximal times learning_rate is above 1, so each step would jump past the "
                "round's model instead of towards it; lower one of them"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_default(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keys of later versions are left out at their default: older digests stay as they are."""
        document: dict[str, Any] = write(self)
        for name, default in {"noise": "float", "proximal": 0.0, "classes": {}}.items():
            if document.get(name) == default:
                del document[name]
        return document


class Adaptive(Section):
    """Between which noise multipliers the hub may choose, round by round, from what left."""

    least_noise: Multiplier
    most_noise: Multiplier

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least_noise > self.most_noise:
            raise ValueError("least_noise is above most_noise; exchange them")
        return self


class Privacy(Section):
    """Target epsilon *or* noise multiplier; the sealed plan is derived from it at submission."""

    target_epsilon: Positive | None = None
    noise_multiplier: Multiplier | None = None
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
    quorum: Annotated[int, Field(ge=1, le=EXACT)] | None = None
    deadline_seconds: Annotated[float, Field(ge=1, le=30 * 86400)] = 600


class Evaluation(Section):
    """Noised histograms from the sites every k rounds (0: never) and public rows at the hub."""

    every: Annotated[int, Field(ge=0, le=10_000)] = 0
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    bins: Annotated[int, Field(ge=2, le=100)] = 10
    noise_multiplier: Multiplier | None = None
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
    machine: MachineClass | None = None  # as its site declares it, where a study plans by class

    @model_serializer(mode="wrap")
    def _without_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Left out where absent: older digests stay what they are."""
        document: dict[str, Any] = write(self)
        if document.get("machine", ...) is None:
            del document["machine"]
        return document


class Plan(Section):
    """The sealed noise of every round, derived from the privacy section at submission."""

    noise_multipliers: list[Positive]
    epsilon: str
    accountant: str
    version: str
    classes: dict[MachineClass, ClassPlan] = {}

    @model_serializer(mode="wrap")
    def _without_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Left out where absent: older digests stay what they are."""
        document: dict[str, Any] = write(self)
        if document.get("classes") == {}:
            del document["classes"]
        return document


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
        self._check_classes()
        if self.audit and self.data.windows:
            raise ValueError("an audit's canaries are no series; leave out audit, or data.windows")
        if self.model.personal_layers:
            _check_personal(self)
        _check_target(self)
        return self

    def _check_classes(self) -> None:
        if not self.training.classes:
            return
        if self.privacy.adaptive:
            raise ValueError(
                "training.classes seals a plan for each class, and privacy.adaptive chooses one "
                "noise for all on the way; leave out one of them"
            )
        if self.audit:
            raise ValueError(
                "training.classes gives sites different noise, and an audit's canaries are judged "
                "by one; leave out classes, or the audit"
            )
        if self.plan and set(self.plan.classes) != used(self):
            raise ValueError("the plan seals other classes than the cohort's of training.classes")

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
    def costliest(self) -> float | None:
        """The ε that all rounds cost the site that they cost most; None before a plan is sealed."""
        if self.plan is None:
            return None
        here = [own(self, member.institution).plan for member in self.cohort] or [self.plan]
        return max(float(plan.epsilon) for plan in here if plan)

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


def _check_target(protocol: Protocol) -> None:
    target, weights = protocol.data.target, protocol.training.class_weights
    if isinstance(target, NumberTarget):
        if weights:
            raise ValueError("training.class_weights are for classes, but the target is a number")
        if protocol.privacy.adaptive:
            raise ValueError(
                "privacy.adaptive follows accuracy or AUC, which a number as the target does not "
                "have; leave it out"
            )
    elif weights and len(weights) != len(target.classes):
        raise ValueError("training.class_weights needs one number per target class")


def _check_personal(protocol: Protocol) -> None:
    """Raise ValueError for what needs the whole model where the hub has only a part of it."""
    if protocol.evaluation.public_digest:
        raise ValueError(
            "model.personal_layers leaves the hub no whole model to score on public rows; remove "
            "those (the sites can evaluate), or share all layers"
        )
    if protocol.audit:
        raise ValueError(
            "model.personal_layers takes from the updates what canaries are looked for in; leave "
            "out audit, or share all layers"
        )
