"""How every form control looks, set in one place."""

from typing import Any, ClassVar

from django import forms

CHECKS = (forms.CheckboxInput, forms.RadioSelect)
SELECTS = (forms.Select,)


class StyledForm(forms.Form):
    """A form whose widgets carry Tabler's classes.

    `shown` names fields that matter only for some values of another: field → (other, values).
    """

    shown: ClassVar[dict[str, tuple[str, str]]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs.setdefault("class", class_of(field.widget))


def class_of(widget: forms.Widget) -> str:
    """Tabler's class for that kind of control."""
    if isinstance(widget, CHECKS):
        return "form-check-input"
    return "form-select" if isinstance(widget, SELECTS) else "form-control"


def choices(**labels: str) -> list[tuple[str, str]]:
    """Value → label, in order."""
    return list(labels.items())


def decimal(**options: object) -> forms.FloatField:
    """A number with any decimals (the browser would else insist on whole steps)."""
    return forms.FloatField(widget=forms.NumberInput(attrs={"step": "any"}), **options)
