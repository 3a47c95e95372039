"""Importing a study file: uploaded or pasted, read by the same code as `manage.py simulate`."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from federation.learning import architectures, strategies
from federation.protocol import plans, study_file
from studies.forms.styled import StyledForm

LARGEST = 1_000_000  # bytes


class ImportForm(StyledForm):
    """One study file; `cleaned_data["protocol"]` is what it describes."""

    file = forms.FileField(required=False, label="Study file (TOML)")
    text = forms.CharField(
        required=False,
        label="… or paste it here",
        max_length=LARGEST,
        strip=False,
        widget=forms.Textarea(attrs={"class": "form-control code-area", "spellcheck": "false"}),
    )
    public_rows = forms.FileField(
        required=False,
        label="Public rows (CSV, Parquet or npz)",
        help_text=(
            "Rows that are public anyway, to score each model on. Only this file reaches the hub: "
            "data stays at the sites."
        ),
    )

    def clean(self) -> dict[str, Any]:
        """Read whichever came; a fault is one sentence with the key and the line."""
        values = super().clean()
        if self.errors:
            return values
        file = values.get("file")
        text = _text_of(file) if file else values.get("text", "")
        if not text.strip():
            raise ValidationError("Choose a study file, or paste its text.")
        found = _parsed(text)
        if found.public_name and not values.get("public_rows"):
            raise ValidationError(
                f"The study file scores its models on public rows ({found.public_name}): "
                "choose that file here as well."
            )
        values["protocol"] = found.protocol
        return values


def _parsed(text: str) -> study_file.StudyFile:
    try:
        return study_file.parse(text, checks=(architectures.check, strategies.check, plans.seal))
    except study_file.StudyFileError as error:
        raise ValidationError(str(error)) from error


def _text_of(file: Any) -> str:
    if file.size > LARGEST:
        raise ValidationError(f"A study file has at most {LARGEST:,} bytes; this one has more.")
    try:
        return file.read().decode()
    except UnicodeDecodeError as error:
        raise ValidationError("This is no text file; a study file is TOML in UTF-8.") from error
