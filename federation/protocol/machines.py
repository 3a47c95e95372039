"""Classes of machine: what a site says of its own, and what a study plans for each.

A class changes how many steps a site makes and how many units it draws, and so its own sealed
noise and ε; nobody else's. How much memory a step may take is the site's own affair.
"""

from typing import TYPE_CHECKING, Literal, Self, get_args

from pydantic import model_validator

from federation.protocol.data_contract import Count, Fraction, Positive, Section

if TYPE_CHECKING:
    from federation.protocol.document import Protocol

MachineClass = Literal["small", "standard", "large", "accelerated"]
MACHINE_CLASSES: tuple[str, ...] = get_args(MachineClass)


class ClassTraining(Section):
    """What is otherwise for one class; what is not given is as for everybody."""

    sample_rate: Fraction | None = None
    local_steps: Count | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.sample_rate is None and self.local_steps is None:
            raise ValueError("give sample_rate, local_steps or both, or leave the class out")
        return self


class ClassPlan(Section):
    """The sealed noise of every round for one class, and the ε that all rounds cost it."""

    noise_multipliers: list[Positive]
    epsilon: str


def of_class(protocol: "Protocol", name: str | None) -> "Protocol":
    """The protocol as it holds for one class: that class's steps, sample rate and sealed plan.

    The protocol itself for a class that it does not plan for, or None.
    """
    if name is None or name not in protocol.training.classes:
        return protocol
    stated = protocol.training.classes[name].model_dump(exclude_none=True)
    training = protocol.training.model_copy(update=stated)
    plan = protocol.plan
    if plan is not None:
        plan = plan.model_copy(update=plan.classes[name].model_dump())
    return protocol.model_copy(update={"training": training, "plan": plan})


def used(protocol: "Protocol") -> set[str]:
    """The classes that the protocol plans for and some institution is of: these are sealed."""
    return {row.machine for row in protocol.cohort if row.machine in protocol.training.classes}


def own(protocol: "Protocol", institution: str | None) -> "Protocol":
    """The protocol as it holds at one institution; the same again for one that is that already.

    What it says of others stays, so it is what that site trains and is priced by, and it is not
    what was approved, whose digest is that of the whole.
    """
    return of_class(protocol, class_at(protocol, institution))


def class_at(protocol: "Protocol", institution: str | None) -> str | None:
    """The class that the protocol counts an institution in; None where it says none."""
    found = (row.machine for row in protocol.cohort if row.institution == institution)
    return next(found, None)
