"""What a person says when deciding: the dataset to lend, a reason."""

from typing import Any

from django import forms

from studies.forms.styled import StyledForm


class ApproveForm(StyledForm):
    """The dataset to lend to exactly the protocol that was shown."""

    dataset = forms.ChoiceField(
        widget=forms.RadioSelect, label="Dataset to lend", help_text="As offered by your site."
    )
    protocol_digest = forms.CharField(widget=forms.HiddenInput)
    read = forms.BooleanField(
        label="I have read the protocol and may decide this for my institution."
    )

    def __init__(self, *args: Any, datasets: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["dataset"].choices = datasets


class ReasonForm(StyledForm):
    """Why; shown to everyone in the study."""

    reason = forms.CharField(
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Everyone in the study reads this.",
    )


class CancelForm(ReasonForm):
    """Why a round is cancelled, which attempt is meant, and what the study does then."""

    round = forms.IntegerField(widget=forms.HiddenInput)
    attempt = forms.IntegerField(widget=forms.HiddenInput)
    then = forms.ChoiceField(
        widget=forms.RadioSelect,
        label="And then",
        initial="pause",
        choices=[
            ("pause", "Pause the study until I resume it"),
            ("again", "Go on at once: another attempt, which is charged again"),
        ],
    )

    def model_stands(self) -> None:
        """The round has its model: what comes next is another round."""
        pause, (again, _) = self.fields["then"].choices
        self.fields["then"].choices = [pause, (again, "Go on at once with the next round")]


class OptionalReasonForm(ReasonForm):
    """A reason, if there is one to give."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = False
