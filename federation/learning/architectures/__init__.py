"""Which architectures exist: one file each, found by listing this folder, free of torch.

A new architecture is one new file with a module-level `ARCHITECTURE` that keeps the promise of
`Architecture`. Forms, documentation and the contract tests find it by its name. `build` is given
`torch.nn` by whoever already has torch, so that the web process never loads it.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any
from typing import Protocol as Promise

from pydantic import BaseModel, ConfigDict, ValidationError

from federation.learning.shapes import Shape, Takes
from federation.protocol import contract
from federation.protocol.document import DataContract, Protocol

__all__ = [
    "Architecture",
    "ArchitectureError",
    "Parameters",
    "check",
    "get",
    "names",
    "read",
    "row_shape",
]


class ArchitectureError(ValueError):
    """The protocol names an architecture or a parameter that cannot be; says which key."""


class Parameters(BaseModel):
    """The parameters of an architecture: a form is rendered from this model's JSON schema."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Architecture(Promise):
    """What each file here promises. No layer may mix examples or keep buffers (no BatchNorm).

    Every layer has a rule (`federation.learning.rules`), so that no engine has to fall back, and
    the output layer is the last one registered.
    """

    name: str
    title: str
    description: str  # what it is
    when: str  # to choose it, and when not
    source: str  # the paper
    takes: Takes
    Parameters: type[Parameters]
    presets: dict[str, dict[str, Any]]

    def refuses(self, shape: Shape, parameters: Any) -> str | None:
        """Why it cannot read rows of this shape and what to do, going on after its title."""
        ...

    def layers(self, parameters: Any) -> int:
        """How many modules with weights of their own `build` makes, at least 1."""
        ...

    def build(self, nn: Any, shape: Shape, outputs: int, parameters: Any) -> Any:
        """A `torch.nn.Module` from float32 [n, product of shape] to float32 [n, outputs].

        Rows come flat; what has a shape is given it by the module's first layer. `refuses` has
        said nothing.
        """
        ...


@cache
def names() -> tuple[str, ...]:
    """The installed architectures, sorted."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


@cache
def get(name: str) -> Architecture:
    """The architecture of that name. Raises ArchitectureError, which lists the names."""
    if name not in names():
        raise ArchitectureError(
            f"model.architecture: no architecture is called {name!r}; choose one of: "
            f"{', '.join(names())}"
        )
    found: Architecture = import_module(f"{__name__}.{name}").ARCHITECTURE
    return found


def read(name: str, values: dict[str, Any]) -> Parameters:
    """The checked parameters of architecture `name`. Raises ArchitectureError naming the key."""
    try:
        return get(name).Parameters(**values)
    except ValidationError as error:
        raise ArchitectureError("; ".join(_faults(name, error))) from error


def check(protocol: Protocol) -> None:
    """Raise ArchitectureError when the protocol's model cannot be built, or not for its rows."""
    parameters = read(protocol.model.architecture, protocol.model.parameters)
    chosen = get(protocol.model.architecture)
    reason = chosen.refuses(row_shape(protocol.data), parameters)
    if reason is not None:
        raise ArchitectureError(f"model.architecture: {chosen.name!r} {reason}")
    own = protocol.model.personal_layers
    if own and own >= (layers := chosen.layers(parameters)):
        raise ArchitectureError(
            f"model.personal_layers: this {chosen.name!r} has {layers} with weights, and at least "
            f"one must be shared; keep fewer than {layers} at the sites"
        )


def row_shape(data: DataContract) -> Shape:
    """How an architecture reads one row of the contract: (width,) where it is just a list."""
    return contract.shape(data) or (contract.width(data),)


def _faults(name: str, error: ValidationError) -> list[str]:
    known = ", ".join(get(name).Parameters.model_fields) or "none"
    faults = []
    for fault in error.errors():
        key = ".".join(["model.parameters", *map(str, fault["loc"])])
        text = fault["msg"].replace("Input should be", "must be")
        if fault["type"] == "extra_forbidden":
            text = f"{name} has no such parameter; it has: {known}"
        faults.append(f"{key}: {text}")
    return faults
