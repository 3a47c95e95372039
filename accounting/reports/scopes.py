"""What a report may be about: one closed type, one canonical text, one form of address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Self
from urllib.parse import parse_qsl, urlencode


class ScopeError(ValueError):
    """No such scope; the text says which part of it is wrong and what may stand there."""


class Kind(StrEnum):
    """What a scope is about. A period or a privacy unit may narrow each of them."""

    EVERYTHING = "everything"
    STUDY = "study"
    PART = "part of a study"
    INSTITUTION = "institution"
    DATASET = "dataset"


UNITS = ("", "row", "patient")
_NAMES = {"since": "from", "until": "to"}  # the names of the address, where they differ


@dataclass(frozen=True)
class Scope:
    """Slugs of what a report is about; empty where it is about all of them.

    `since` and `until` are whole days in UTC, both inclusive. A lineage belongs to an institution
    and is reported across studies.

    Raises:
        ScopeError: a combination that means nothing.
    """

    study: str = ""
    institution: str = ""
    lineage: str = ""
    since: date | None = None
    until: date | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        if self.lineage and not self.institution:
            raise ScopeError("a dataset belongs to an institution; name that, too")
        if self.lineage and self.study:
            raise ScopeError(
                "a dataset is reported across its studies; leave out the study, or name the "
                "study and the institution instead"
            )
        if self.since and self.until and self.since > self.until:
            raise ScopeError(f"the period ends on {self.until}, before it begins; swap the days")
        if self.unit not in UNITS:
            raise ScopeError(f"{self.unit!r} is no privacy unit; give row or patient, or neither")

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Self:
        """From the parameters of an address; unknown ones are passed over. Raises ScopeError."""
        found = {name: given.get(_NAMES.get(name, name), "").strip() for name in cls.names()}
        days = {name: _day(found.pop(name)) for name in ("since", "until")}
        return cls(**found, **days)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The scope of a canonical text. Raises ScopeError."""
        return cls.read(dict(parse_qsl(text)))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The fields, in the order of the canonical text."""
        return tuple(cls.__dataclass_fields__)

    @property
    def kind(self) -> Kind:
        """What it is about."""
        if self.study:
            return Kind.PART if self.institution else Kind.STUDY
        if self.lineage:
            return Kind.DATASET
        return Kind.INSTITUTION if self.institution else Kind.EVERYTHING

    @property
    def is_period(self) -> bool:
        """Whether a part of the time is left out."""
        return bool(self.since or self.until)

    @property
    def parameters(self) -> dict[str, str]:
        """What is not empty, by the names of an address, in one order."""
        values = {_NAMES.get(name, name): getattr(self, name) for name in self.names()}
        return {name: str(value) for name, value in values.items() if value}

    @property
    def text(self) -> str:
        """The canonical text: two scopes are the same where their texts are."""
        return urlencode(self.parameters)

    @property
    def file_name(self) -> str:
        """For a download, without suffix."""
        parts = [self.study, self.institution, self.lineage, self.unit]
        parts += [str(day) for day in (self.since, self.until) if day]
        return "-".join([part for part in parts if part] or ["everything"]) + "-report"

    def in_words(self, names: Mapping[str, str] | None = None) -> str:
        """What it is about, for people; `names` translates slugs."""
        told = names or {}
        where = told.get(self.institution, self.institution)
        words = {
            Kind.EVERYTHING: "everything in this ledger",
            Kind.STUDY: "the whole study, all institutions",
            Kind.PART: f"this study at {where}",
            Kind.INSTITUTION: f"{where}: all datasets, all studies",
            Kind.DATASET: f"dataset {self.lineage} at {where}, all studies",
        }[self.kind]
        period = "".join(
            f", {word} {day}" for word, day in (("from", self.since), ("to", self.until)) if day
        )
        unit = f", charges per {self.unit} only" if self.unit else ""
        return words + period + unit


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ScopeError(f"{text!r} is no day; write it as 2026-11-21") from error
