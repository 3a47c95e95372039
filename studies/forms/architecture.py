"""The model section: choose an architecture, fill in the parameters its schema declares."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator

from federation.learning import architectures
from studies.forms.lists import ListField
from studies.forms.styled import StyledForm, class_of


class ArchitectureForm(StyledForm):
    """Which of the installed architectures."""

    architecture = forms.ChoiceField()
    personal_layers = forms.IntegerField(
        initial=0,
        min_value=0,
        label="Last layers that stay at each site",
        help_text="Trained there and never sent, where sites' patients differ. 0: all are shared.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["architecture"].choices = [
            (name, architectures.get(name).title) for name in architectures.names()
        ]


class ParametersForm(StyledForm):
    """The parameters of one architecture, rendered from its model's JSON schema."""

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        self.architecture = architectures.get(name)
        super().__init__(*args, prefix=f"parameters-{name}", **kwargs)
        schema = self.architecture.Parameters.model_json_schema()
        required = schema.get("required", [])
        for key, rule in schema["properties"].items():
            self.fields[key] = _field(key, rule, required=key in required)
            widget = self.fields[key].widget
            widget.attrs.setdefault("class", class_of(widget))

    def presets(self) -> dict[str, str]:
        """For each preset's name the text of every field by its name in the page, as JSON."""
        found = {}
        for name, values in self.architecture.presets.items():
            whole = architectures.read(self.architecture.name, values).model_dump()
            texts = {
                self.add_prefix(key): str(self.fields[key].prepare_value(value))
                for key, value in whole.items()
            }
            found[name] = json.dumps(texts)
        return found

    def parameters(self) -> dict[str, Any]:
        """What was filled in; an empty field leaves the architecture's default."""
        return {k: v for k, v in self.cleaned_data.items() if v not in (None, "", [])}


class JSONText(forms.CharField):
    """Any other type: its JSON."""

    def prepare_value(self, value: Any) -> Any:
        """Values as JSON; what a person typed stays as it is."""
        return value if isinstance(value, str) else json.dumps(value)

    def to_python(self, value: Any) -> Any:
        """The value, or a ValidationError."""
        try:
            return json.loads(super().to_python(value) or "null")
        except ValueError as error:
            raise ValidationError("Write this as JSON, for instance [1, 2]") from error


def _field(key: str, rule: dict[str, Any], *, required: bool) -> forms.Field:
    common = {
        "label": rule.get("title", key),
        "help_text": rule.get("description", ""),
        "initial": rule.get("default"),
        "required": required,
    }
    if "enum" in rule:
        return forms.ChoiceField(choices=[(v, v) for v in rule["enum"]], **common)
    if rule.get("type") in ("integer", "number"):
        return _number(rule, common)
    if rule.get("type") == "boolean":
        return forms.BooleanField(**{**common, "required": False})
    read = {"integer": int, "number": float, "string": str}.get(
        rule.get("items", {}).get("type", "")
    )
    if rule.get("type") == "array" and read:
        return ListField(read=read, **common)
    return forms.CharField(**common) if rule.get("type") == "string" else JSONText(**common)


def _number(rule: dict[str, Any], common: dict[str, Any]) -> forms.Field:
    limits = [
        validator(rule[key])
        for key, validator in (("minimum", MinValueValidator), ("maximum", MaxValueValidator))
        if key in rule
    ]
    whole = rule["type"] == "integer"
    widget = forms.NumberInput(attrs={"step": "1" if whole else "any"})
    kind = forms.IntegerField if whole else forms.FloatField
    return kind(widget=widget, validators=limits, **common)
