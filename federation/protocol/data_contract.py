"""The data contract: what each site's data must look like; every constant in it is public."""

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

Name = Annotated[str, Field(min_length=1, max_length=200)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Fraction = Annotated[float, Field(ge=1e-9, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
LARGEST_ARRAY = 2**22  # numbers in one row; 16 MiB
FARTHEST = 1e12  # of a bound once it is scaled: beyond, products of two leave float32


class Section(BaseModel):
    """A part of the document: unknown keys are refused, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_scale(
    where: str, low: float, high: float, centre: float | None = None, spread: float | None = None
) -> None:
    """Raise ValueError where the bounds themselves could not be scaled to numbers to train on."""
    if low >= high:
        raise ValueError(f"{where}low must be below high")
    if (centre is None) != (spread is None):
        raise ValueError(f"{where}give centre and spread together, or neither")
    if not math.isfinite(high - low):
        raise ValueError(f"{where}high is too far above low; declare nearer bounds")
    if centre is None or spread is None:
        return
    if max(abs(low - centre), abs(high - centre)) / spread > FARTHEST:
        raise ValueError(
            f"{where}spread is so small that a bound lies {FARTHEST:g} times as far from the "
            "centre; nothing learns from such numbers"
        )


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
        _check_scale(f"column {self.name!r}: ", self.low, self.high, self.centre, self.spread)
        if isinstance(self.missing, float) and not self.low <= self.missing <= self.high:
            raise ValueError(
                f"column {self.name!r}: missing is the value that stands for one that is not "
                f"there, and {self.missing:g} is not within low and high; name one that is, or "
                "'indicator'. A code such as -999 in the data belongs into missing_values"
            )
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
        _check_scale(f"column {self.name!r}: ", self.low, self.high, self.centre, self.spread)
        if math.prod(self.shape) > LARGEST_ARRAY:
            raise ValueError(f"column {self.name!r}: the shape holds more than 2^22 numbers")
        return self


Column = Annotated[NumberColumn | CategoryColumn | ArrayColumn, Field(discriminator="kind")]


class Windows(Section):
    """Each row of training is a window over one series: `length` rows in their declared order.

    Its class or number is that of the row `horizon` rows after its last one; with `ahead` above 1
    it has the numbers of so many rows from there on. The next window begins `step` rows later. All
    windows of one patient are one privacy unit, however they overlap. A window that a dropped row
    lies in, or is predicted, is left out; a row whose target alone is missing may still lie in one.
    """

    length: Annotated[int, Field(ge=1, le=10_000)]
    horizon: Annotated[int, Field(ge=0, le=10_000)] = 0
    ahead: Annotated[int, Field(ge=1, le=1000)] = 1
    step: Annotated[int, Field(ge=1, le=10_000)] = 1
    order: Annotated[list[Name], Field(min_length=1, max_length=4)]
    series_column: Name | None = None

    @model_serializer(mode="wrap")
    def _without_default(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Left out unless declared: older digests stay what they are."""
        document: dict[str, Any] = write(self)
        return {key: value for key, value in document.items() if (key, value) != ("ahead", 1)}


class Target(Section):
    """The column to predict; each class lists the raw values that mean it."""

    column: Name
    kind: Literal["class"] = "class"
    classes: Annotated[list[list[str]], Field(min_length=2, max_length=100)]
    names: list[str] = []
    missing: Literal["refuse", "drop"] = "refuse"

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

    @model_serializer(mode="wrap")
    def _without_default(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Left out unless declared: older digests stay what they are."""
        document: dict[str, Any] = write(self)
        defaults = {"missing": "refuse", "kind": "class"}
        return {key: value for key, value in document.items() if defaults.get(key) != value}

    @property
    def labels(self) -> list[str]:
        """One readable name per class."""
        return self.names or [" or ".join(values) for values in self.classes]


class NumberTarget(Section):
    """A number to predict, scaled from its declared bounds to −1 … 1."""

    column: Name
    kind: Literal["number"]
    unit: str = ""
    low: Finite
    high: Finite
    outside: Literal["refuse", "clip"] = "refuse"
    missing: Literal["refuse", "drop"] = "refuse"

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        _check_scale("", self.low, self.high)
        return self

    @property
    def span(self) -> float:
        """From the lower bound to the upper one, in the target's own unit."""
        return self.high - self.low

    def as_column(self) -> NumberColumn:
        """The feature that would be scaled alike."""
        return NumberColumn(name=self.column, low=self.low, high=self.high, outside=self.outside)


AnyTarget = Annotated[Target | NumberTarget, Field(discriminator="kind")]


class DataContract(Section):
    """What each site's data must look like; every preprocessing constant is public."""

    unit: Literal["row", "patient"] = "row"
    patient_column: Name | None = None
    max_rows_per_patient: Count | None = None
    missing_values: list[str] = ["", "?", "NA", "NaN", "nan"]
    columns: Annotated[list[Column], Field(min_length=1, max_length=10_000)]
    target: AnyTarget
    windows: Windows | None = None

    @field_validator("columns", mode="before")
    @classmethod
    def _kinds(cls, columns: Any) -> Any:
        if not isinstance(columns, list):
            return columns
        return [{"kind": "number", **c} if isinstance(c, dict) else c for c in columns]

    @field_validator("target", mode="before")
    @classmethod
    def _kind(cls, target: Any) -> Any:
        return {"kind": "class", **target} if isinstance(target, dict) else target

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
        if self.windows and self.windows.ahead > 1 and not isinstance(self.target, NumberTarget):
            raise ValueError("windows.ahead above 1 is for a number as the target, not for classes")
        return self

    @model_serializer(mode="wrap")
    def _without_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Left out where absent: older digests stay what they are."""
        document: dict[str, Any] = write(self)
        if document.get("windows", ...) is None:
            del document["windows"]
        return document


def _text(value: Any) -> Any:
    """A category as the text that stands in a CSV cell (TOML numbers are allowed)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value.is_integer() else repr(value)
