"""Rows of the study form that plan by class of machine: which class, and its own plan."""

from typing import Any

from django import forms
from django.forms import BaseFormSet, formset_factory

from federation.protocol.document import Protocol
from federation.protocol.machines import MACHINE_CLASSES
from studies.forms.styled import StyledForm, decimal

CHOICES = [(name, name.capitalize()) for name in MACHINE_CLASSES]


class ClassForm(StyledForm):
    """One class and its own plan; what is left empty is as at every site."""

    machine = forms.ChoiceField(
        label="Class of machine",
        choices=[("", "Choose …"), *CHOICES],
        widget=forms.Select(attrs={"data-rows-distinct": True}),
    )
    local_steps = forms.IntegerField(
        required=False,
        min_value=1,
        help_text="Steps per round. Empty: as at every site.",
        widget=forms.NumberInput(attrs={"data-rows-begins-as": "training-local_steps"}),
    )
    sample_rate = decimal(
        required=False, help_text="Chance to be in a step’s batch. Empty: as at every site."
    )

    def clean(self) -> dict[str, Any]:
        """Refuse a class that plans nothing; the fault stands where one would begin to mend it."""
        values = super().clean()
        planned = any(values.get(name) is not None for name in PLANNED)
        if values.get("machine") and not planned and not set(PLANNED) & set(self.errors):
            self.add_error(
                "local_steps", "Give steps, a sample rate or both; or remove this class."
            )
        return values


PLANNED = ("local_steps", "sample_rate")


class _Classes(BaseFormSet):
    def clean(self) -> None:
        """A class stands once; the fault lies on the second one."""
        seen: set[str] = set()
        for form in given(self):
            name = form.cleaned_data["machine"]
            if name in seen:
                form.add_error("machine", "This class stands above already; remove one of the two.")
            seen.add(name)


ClassFormSet = formset_factory(
    ClassForm, formset=_Classes, extra=0, max_num=len(MACHINE_CLASSES), can_delete=True
)


def kept(rows: BaseFormSet) -> list[forms.Form]:
    """The rows that were not removed, faulty ones too; of a formset that was validated."""
    return [form for form in rows.forms if not form.cleaned_data.get("DELETE")]


def given(rows: BaseFormSet) -> list[forms.Form]:
    """Those that name a class."""
    return [form for form in kept(rows) if form.cleaned_data.get("machine")]


def document(rows: BaseFormSet) -> dict[str, dict[str, Any]]:
    """The protocol's `training.classes`; of faulty rows what is in order."""
    values = {form.cleaned_data["machine"]: form.cleaned_data for form in given(rows)}
    return {name: {key: row.get(key) for key in PLANNED} for name, row in values.items()}


def initial(protocol: Protocol) -> list[dict[str, Any]]:
    """The inverse of `document`, smallest machines first."""
    classes = {str(name): plan for name, plan in protocol.training.classes.items()}
    return [
        {"machine": name, **classes[name].model_dump()}
        for name in MACHINE_CLASSES
        if name in classes
    ]
