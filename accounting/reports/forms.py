"""The forms of the reports' pages: what a report is about, and what a signature says."""

from typing import Any

from django import forms

from accounting.models import Meaning
from accounting.reports.scopes import Scope, ScopeError
from accounting.selectors import visible
from studies import access
from studies.forms.styled import StyledForm
from studies.selectors.visibility import Visitor


class ScopeForm(StyledForm):
    """What the person may report on; the fields have the names of an address."""

    study = forms.ChoiceField(required=False)
    institution = forms.ChoiceField(required=False)
    lineage = forms.ChoiceField(required=False, label="Dataset", help_text="Across all studies.")
    since = forms.DateField(
        required=False, label="From", widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        required=False, label="To", widget=forms.DateInput(attrs={"type": "date"})
    )
    unit = forms.ChoiceField(
        required=False,
        label="Privacy unit",
        choices=[
            ("", "Patients and rows"),
            ("patient", "Patients: charges per patient"),
            ("row", "Rows: charges per row"),
        ],
    )

    def __init__(self, *args: Any, person: Visitor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        studies = access.studies_for(person).exclude(status="draft")
        houses = visible.houses(person)
        self.fields["study"].choices = [("", "All studies"), *((s.slug, s.name) for s in studies)]
        self.fields["institution"].choices = [
            ("", "All institutions"),
            *((house.slug, house.name) for house in houses),
        ]
        names = {house.slug: house.name for house in houses}
        self.fields["lineage"].choices = [
            ("", "All datasets"),
            *(
                (f"{row.institution}/{row.lineage}", f"{row.lineage} at {names[row.institution]}")
                for row in visible.budgets(person)
            ),
        ]

    def clean(self) -> dict[str, Any]:
        """The scope, as `self.scope`; what means nothing is told above the form."""
        found = super().clean()
        house, _, lineage = found.get("lineage", "").partition("/")
        wanted = {name: found.get(name) or "" for name in ("study", "institution", "unit")}
        if house and wanted["institution"] not in ("", house):
            raise forms.ValidationError("This dataset belongs to another institution.")
        days = {name: found.get(name) for name in ("since", "until")}
        try:
            self.scope = Scope(
                **wanted | {"institution": wanted["institution"] or house}, lineage=lineage, **days
            )
        except ScopeError as error:
            raise forms.ValidationError(f"{str(error).capitalize()}.") from error
        return found


class SignForm(StyledForm):
    """What the signature means, and the password anew."""

    meaning = forms.ChoiceField(
        choices=Meaning.choices, widget=forms.RadioSelect, label="What your signature means"
    )
    password = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        label="Your password",
        help_text="A signature needs it anew, although you are logged in.",
    )
