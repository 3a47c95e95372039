"""The parts of a study file beside the protocol: its name, its institutions and their limits."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from federation.protocol import document
from federation.protocol.document import Count, Name, Positive, Section, Slug
from federation.protocol.machines import MACHINE_CLASSES, ClassTraining, MachineClass

Delta = Annotated[float, Field(ge=1e-10, lt=1)]


class StudySection(Section):
    """[study]: what the study is called and what it is for."""

    name: Name
    purpose: str = ""


class Limits(Section):
    """[institution.limits]: what the site itself allows, as in its own site.toml."""

    max_epsilon_per_study: Positive | None = None
    min_noise_multiplier: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    max_rounds: Count | None = None
    architectures: list[Name] | None = None
    min_cohort: Count | None = None
    secure_aggregation: Literal["optional", "required"] | None = None
    audits: Literal["optional", "never"] | None = None
    approved_protocols: list[str] | None = None
    lifetime_epsilon: Positive | None = None
    lifetime_delta: Delta | None = None


class InstitutionSection(Section):
    """[[institution]]: one member of the cohort, its data file and its own limits."""

    name: Name
    slug: Slug | None = None
    cohort_size: Annotated[int, Field(ge=1, le=10**9)]
    machine: MachineClass | None = None
    data: Annotated[str, Field(min_length=1)] | None = None
    dataset: Name = "data"
    limits: Limits = Limits()


@dataclass(frozen=True)
class InstitutionEntry:
    """One [[institution]] of a study file; `limits` holds only what the file states."""

    slug: str
    name: str
    cohort_size: int
    data: Path | None = None
    dataset: str = "data"
    machine: str | None = None
    limits: dict[str, Any] = field(default_factory=dict)


# What a short file may leave out. Privacy and cohort sizes are promises: they are always written.
DEFAULTS: dict[str, dict[str, Any]] = {
    "model": {"architecture": "logistic"},
    "training": {
        "sample_rate": 0.5,
        "local_steps": 4,
        "learning_rate": 1.0,
        "max_grad_norm": 0.5,
    },
    "rounds": {"count": 10},
}

SECTIONS: dict[str, type[Section]] = {
    "study": StudySection,
    "data": document.DataContract,
    "model": document.Model,
    "training": document.Training,
    "privacy": document.Privacy,
    "aggregation": document.Aggregation,
    "rounds": document.Rounds,
    "evaluation": document.Evaluation,
    "audit": document.Audit,
    "institution": InstitutionSection,
}


def known_keys(path: Sequence[str | int], kind: object = None) -> list[str]:
    """The keys that the table at `path` of a study file may have; `kind` is a column's kind."""
    names = tuple(part for part in path if isinstance(part, str))
    listed = {
        (): list(SECTIONS),
        ("data",): _renamed(_keys(document.DataContract), {"columns": "column"}),
        ("evaluation",): [*_keys(document.Evaluation), "public_file"],
        ("training", "classes"): list(MACHINE_CLASSES),
    }
    if names in listed:
        return listed[names]
    if names == ("data", "target"):
        return _keys(document.NumberTarget if kind == "number" else document.Target)
    if names == ("data", "column"):
        column: type[BaseModel] = document.NumberColumn
        if kind in ("category", "array"):
            column = document.CategoryColumn if kind == "category" else document.ArrayColumn
        return _keys(column)
    inner: dict[tuple[str, ...], type[BaseModel]] = {
        ("data", "windows"): document.Windows,
        ("institution", "limits"): Limits,
        **{("training", "classes", name): ClassTraining for name in MACHINE_CLASSES},
    }
    model = inner.get(names) or (SECTIONS.get(names[0]) if len(names) == 1 else None)
    return _keys(model) if model else []


def _keys(model: type[BaseModel]) -> list[str]:
    return list(model.model_fields)


def _renamed(keys: list[str], names: dict[str, str]) -> list[str]:
    return [names.get(key, key) for key in keys]
