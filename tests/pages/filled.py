"""Fills in the form of a study as a browser would send it, read from the page itself."""

from typing import Any

from django.forms import BaseForm

from federation.protocol.document import Protocol
from studies.forms.protocol import ProtocolForms

HOSPITALS = [("cleveland", "Cleveland"), ("budapest", "Budapest"), ("zurich", "Zurich")]


def filled(protocol: Protocol | None, **changes: Any) -> dict[str, Any]:
    """What the form of `protocol` sends when nothing is touched but `changes`."""
    forms = ProtocolForms(institutions=HOSPITALS, current=protocol)
    sent: dict[str, Any] = {}
    for formset in (forms.columns, forms.classes, forms.members):
        sent |= values(formset.management_form)
        for form in formset.forms:
            sent |= values(form)
    for form in (*forms.parts.values(), *forms.parameters):
        sent |= values(form)
    return sent | changes


def values(form: BaseForm) -> dict[str, Any]:
    """Field name → text, for every field that has a value; an unticked box sends nothing."""
    found = {field.html_name: field.value() for field in form}
    return {name: str(v) for name, v in found.items() if v is not None and v is not False}


def reads(sent: dict[str, Any], current: Protocol | None = None) -> ProtocolForms:
    """The forms with what was sent."""
    return ProtocolForms(sent, {}, institutions=HOSPITALS, current=current)
