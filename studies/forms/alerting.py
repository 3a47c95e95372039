"""Forms of alerts: an explanation, and where to hear of new ones."""

from django import forms

from studies.alerts import Severity
from studies.forms.styled import StyledForm
from studies.models import Channel
from studies.services.explanations import LONGEST


class ExplanationForm(StyledForm):
    """What happened, in the officer's own words."""

    text = forms.CharField(
        label="What happened, and what follows from it",
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Kept for good beside the alert; everybody who sees the alert reads it.",
    )


class SubscriptionForm(StyledForm):
    """Where alerts go."""

    channel = forms.ChoiceField(choices=Channel.choices, label="Send by")
    address = forms.CharField(
        max_length=500,
        label="To",
        help_text="An e-mail address, or an https address on a host that your operator allowed.",
    )
    severity = forms.ChoiceField(
        label="What",
        choices=[(Severity.NOTICE, "Every alert"), (Severity.ALARM, "Alarms only")],
    )
