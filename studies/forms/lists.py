"""Fields that hold a list as comma-separated text, with quotes where a value has a comma."""

import csv
import re
from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

NAMED_LINE = re.compile(r'^(?P<name>[^"=]+?)\s*=\s*(?P<values>.*)$')


def split(text: str) -> list[str]:
    """The values of comma-separated text, read as one line; "" stands for an empty value.

    Raises ValidationError where it is no such text.
    """
    if not text.strip():
        return []
    line = " ".join(text.splitlines())
    try:
        return [value.strip() for value in next(csv.reader([line], skipinitialspace=True))]
    except csv.Error as error:
        raise ValidationError("Write values with commas between them: 0.5, 1, 2") from error


def join(values: list[Any]) -> str:
    """The inverse of `split`."""
    return ", ".join(_quoted(str(value)) for value in values)


def _quoted(value: str) -> str:
    plain = value and value == value.strip() and not set(value) & set(',"=')
    return value if plain else '"' + value.replace('"', '""') + '"'


class ListField(forms.CharField):
    """A list of values of one type (`read` makes each from its text, or raises ValueError)."""

    def __init__(self, *args: Any, read: Callable[[str], Any] = str, **kwargs: Any) -> None:
        self.read = read
        super().__init__(*args, strip=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Lists as text; what a person typed stays as it is."""
        return join(value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> list[Any]:
        """The list, or a ValidationError naming the value that does not fit."""
        values = split(super().to_python(value))
        return [self._one(text) for text in values]

    def _one(self, text: str) -> Any:
        try:
            return self.read(text)
        except ValueError as error:
            raise ValidationError(f"{text!r} is not a number; write 0.5, 1, 2") from error


class ClassesField(forms.CharField):
    """Target classes, one a line: `name = value, value`; the name may be left out."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        """A (names, classes) pair as lines."""
        if not isinstance(value, tuple):
            return value
        names, classes = value
        lines = [join(values) for values in classes]
        if names:
            lines = [f"{name} = {line}" for name, line in zip(names, lines, strict=True)]
        return "\n".join(lines)

    def to_python(self, value: Any) -> tuple[list[str], list[list[str]]]:
        """(names or [], one list of raw values per class)."""
        lines = [line for line in super().to_python(value).splitlines() if line.strip()]
        found = [NAMED_LINE.match(line) for line in lines]
        named = [match for match in found if match]
        if named and len(named) != len(lines):
            raise ValidationError("Name every class or none: write each line as name = values")
        if not named:
            return [], [split(line) for line in lines]
        return [m["name"] for m in named], [split(m["values"]) for m in named]
