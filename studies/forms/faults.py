"""Puts what the protocol document finds wrong on the field that a person can mend, and lists it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.forms import BaseFormSet
from pydantic import ValidationError

from studies.forms import machines

if TYPE_CHECKING:
    from studies.forms.protocol import ProtocolForms

TAGS = ("number", "category", "array", "class")  # of alternatives, in the places of faults
# Where the document's key and the form's field differ.
FIELDS = {
    ("aggregation", "weights"): ("rounds", "weights"),
    ("aggregation", "strategy"): ("rounds", "strategy"),
    ("privacy", "schedule"): ("privacy", "shape"),
    ("evaluation", "public_digest"): ("evaluation", "public_rows"),
}

PLANNED = ("training", "classes")
ROWS = {"columns": "Column", "classes": "Class", "members": "Institution"}


@dataclass(frozen=True)
class Mark:
    """One fault that is shown at a field: what the field is called, and its id in the page."""

    label: str
    text: str
    field: str


def marks(found: "ProtocolForms") -> list[Mark]:
    """Every fault of a field that the page shows, in its order: the form is long."""
    return [mark for part in found.used() for mark in _marks(part)]


def _marks(part: forms.Form | BaseFormSet) -> Iterator[Mark]:
    if isinstance(part, forms.Form):
        yield from _of_form(part, "")
        return
    name = ROWS[part.prefix]
    ids = [_first(row).auto_id for row in part.forms] or [""]
    yield from (Mark(f"{name} rows", text, ids[0]) for text in part.non_form_errors())
    for number, row in enumerate(part.forms, start=1):
        if not row.cleaned_data.get("DELETE"):
            yield from _of_form(row, f"{name} {number}")


def _of_form(form: forms.Form, row: str) -> Iterator[Mark]:
    """What lies on no field of a section is listed with its first one."""
    for name, errors in form.errors.items():
        field = form[name] if name in form.fields else _first(form)
        whole = row and name not in form.fields
        label = row if whole else ": ".join(filter(None, (row, str(field.label))))
        yield from (Mark(label, text, field.auto_id) for text in errors)


def _first(form: forms.Form) -> forms.BoundField:
    return next(iter(form.visible_fields()))


def spread_faults(found: "ProtocolForms", error: ValidationError) -> list[str]:
    """Add each fault to its field; return, as sentences, those that belong to no one field."""
    return [text for fault in error.errors() if (text := _place(found, fault))]


def _place(found: "ProtocolForms", fault: Any) -> str | None:
    loc, text = tuple(fault["loc"]), fault["msg"].removeprefix("Value error, ")
    form, field = _target(found, loc)
    if not loc and text.startswith(".".join(PLANNED)):
        found.classes.non_form_errors().append(text)
        return None
    if form is None:
        return text
    form.add_error(field if field in form.fields else None, text)
    return None


def _target(found: "ProtocolForms", loc: tuple[Any, ...]) -> tuple[Any, str | None]:
    if loc[:2] == ("data", "columns") and len(loc) > 2:
        return found.rows()[loc[2]], _last_name(loc[3:])
    if loc[:1] == ("cohort",) and len(loc) > 1:
        return found.invited()[loc[1]], _last_name(loc[2:])
    if loc[:2] == PLANNED and len(loc) > 2:
        return _of_class(found, str(loc[2])), _last_name(loc[3:])
    if loc[:2] in (("data", "target"), ("data", "windows")):
        return found.parts[str(loc[1])], _last_name(loc[2:])
    if loc[:1] in (("name",), ("purpose",)):
        return found.parts["study"], loc[0]
    section, field = FIELDS.get(loc[:2], (loc[0] if loc else None, _last_name(loc[1:])))
    return found.parts.get(section), field


def _of_class(found: "ProtocolForms", name: str) -> Any:
    rows = machines.given(found.classes)
    return next(row for row in rows if row.cleaned_data["machine"] == name)


def _last_name(loc: tuple[Any, ...]) -> str | None:
    """The first key that is a field's: skips the union tags that pydantic puts before it."""
    names = [key for key in loc if isinstance(key, str) and key not in TAGS]
    return names[0] if names else None
