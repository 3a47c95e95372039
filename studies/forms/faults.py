"""Puts what the protocol document finds wrong on the field that a person can mend."""

from typing import TYPE_CHECKING, Any

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
