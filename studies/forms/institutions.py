"""Registering an institution."""

from django import forms

from studies.forms.styled import StyledForm


class RegisterForm(StyledForm):
    """Its name, and how it is called in addresses."""

    name = forms.CharField(
        max_length=200, help_text="The legal body, for instance University Hospital Zurich."
    )
    slug = forms.SlugField(
        required=False,
        max_length=63,
        label="Short name",
        help_text="Lower-case letters, digits and dashes; in every address and ledger entry, for "
        "good. Empty: made from the name.",
    )
