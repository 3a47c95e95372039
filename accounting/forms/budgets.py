"""What is typed to raise a budget, to decide on it, and to attest that patients are disjoint."""

from typing import Any

from django import forms

from studies.forms.styled import StyledForm
from studies.models import Person

LONGEST = 1000


def _words(label: str, advice: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=advice,
    )


class RaiseForm(StyledForm):
    """The budget wished for and why."""

    epsilon = forms.CharField(
        label="New budget ε",
        max_length=32,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    reason = _words("Reason", "It becomes part of the ledger.")


class DecideForm(StyledForm):
    """A decision, its reason, and the password of who decides."""

    reason = _words("Reason of your decision", "Kept for good beside it.")
    password = forms.CharField(
        label="Your password",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        help_text="Again, so that nobody decides at your open screen.",
    )

    def __init__(self, *args: Any, person: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._person = person

    def clean_password(self) -> str:
        """Refuse another password than the person's."""
        password: str = self.cleaned_data["password"]
        if not self._person.check_password(password):
            raise forms.ValidationError("This is not your password.")
        return password


class AttestForm(StyledForm):
    """How it is known."""

    text = _words(
        "How do you know it?", "Everyone who reads a report of this study reads it, with your name."
    )


class UnattestForm(StyledForm):
    """Why it holds no longer."""

    text = _words("Why does it not hold?", "It stands in the ledger beside what was attested.")
