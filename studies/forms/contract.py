"""The forms of the data contract: whose privacy, the columns, windows, and what is predicted."""

from django import forms

from studies.forms.lists import ClassesField, ListField
from studies.forms.styled import StyledForm, choices, decimal


class DataForm(StyledForm):
    """Whose privacy is protected, and how a missing value is written."""

    unit = forms.ChoiceField(
        label="Privacy unit",
        choices=choices(row="One row", patient="One patient (all of the patient's rows)"),
        help_text="ε protects this unit. Choose patient where a person may have several rows.",
    )
    patient_column = forms.CharField(
        required=False,
        empty_value=None,
        help_text="The column that identifies a patient; it never leaves the site.",
    )
    max_rows_per_patient = forms.IntegerField(
        required=False, min_value=1, help_text="A site keeps at most this many rows of one patient."
    )
    missing_values = ListField(
        required=False,
        label="Written for missing",
        initial=["", "?", "NA", "NaN", "nan"],
        help_text='Separated by commas; "" is an empty cell.',
    )


class ColumnForm(StyledForm):
    """One feature. Every scaling constant is declared here, so none is read from private rows."""

    name = forms.CharField(max_length=200)
    kind = forms.ChoiceField(
        choices=choices(number="Number", category="Category", array="Image or array")
    )
    unit = forms.CharField(required=False, label="Unit of measure", help_text="mmHg, years, …")
    low = decimal(required=False, label="Lowest value", help_text="From knowledge, not from data.")
    high = decimal(required=False, label="Highest value")
    shape = ListField(
        required=False,
        read=int,
        label="Shape",
        help_text="Channels first: 1, 28, 28 is a grey image of 28 by 28.",
    )
    other_sizes = forms.ChoiceField(
        initial="refuse",
        label="Another size",
        choices=choices(refuse="Refuse the data", resize="Resize the image"),
    )
    centre = decimal(
        required=False, label="Public centre", help_text="Give with spread, or leave both empty."
    )
    spread = decimal(required=False, label="Public spread")
    categories = ListField(required=False, help_text="Separated by commas: 1, 2, 3, 4")
    outside = forms.ChoiceField(
        label="A value outside",
        choices=choices(
            refuse="Refuse the data", clip="Clip to the bounds (number)", ignore="Ignore (category)"
        ),
    )
    missing = forms.ChoiceField(
        label="A missing value",
        choices=choices(
            refuse="Refuse the data",
            drop="Drop the row",
            indicator="Indicator column (number)",
            constant="Fill with a constant (number)",
            category="A category of its own (category)",
        ),
    )
    missing_constant = decimal(required=False, label="The constant")


class TargetForm(StyledForm):
    """What the model predicts: one of several classes, or a number between declared bounds."""

    shown = {
        "classes": ("kind", "class"),
        "unit": ("kind", "number"),
        "low": ("kind", "number"),
        "high": ("kind", "number"),
        "outside": ("kind", "number"),
    }

    column = forms.CharField(label="Target column", max_length=200)
    kind = forms.ChoiceField(
        initial="class", choices=[("class", "One of several classes"), ("number", "A number")]
    )
    classes = ClassesField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One class a line, as name = raw values: “disease = 1, 2, 3, 4”.",
    )
    unit = forms.CharField(required=False, label="Unit of measure", help_text="%, mmHg, visits …")
    low = decimal(required=False, label="Lowest value", help_text="From knowledge, not from data.")
    high = decimal(required=False, label="Highest value")
    outside = forms.ChoiceField(
        initial="refuse",
        label="A value outside",
        choices=choices(refuse="Refuse the data", clip="Clip to the bounds"),
    )
    missing = forms.ChoiceField(
        initial="refuse",
        label="A row without it",
        choices=choices(refuse="Refuse the data", drop="Drop the row"),
    )

    def contract(self) -> dict[str, object]:
        """The document's target; what belongs to the other kind is left out."""
        values = dict(self.cleaned_data)
        names, classes = values["classes"]
        shared = {"column": values["column"], "missing": values["missing"] or "refuse"}
        if values["kind"] != "number":
            return {**shared, "classes": classes, "names": names}
        bounds = {key: values[key] for key in ("unit", "low", "high")}
        return {**shared, **bounds, "kind": "number", "outside": values["outside"] or "refuse"}


class WindowsForm(StyledForm):
    """Rows that are windows over a time series; nothing where no length is given."""

    length = forms.IntegerField(
        required=False, min_value=1, help_text="Rows in a window. Empty: every row stands alone."
    )
    order = ListField(
        required=False, help_text="The columns that order a series, separated by commas: year, week"
    )
    series_column = forms.CharField(
        required=False,
        empty_value=None,
        help_text="Which series a row belongs to, where one unit has several.",
    )
    horizon = forms.IntegerField(
        required=False,
        min_value=0,
        help_text="How many rows after the window's last one are predicted; 0: that one.",
    )
    ahead = forms.IntegerField(
        required=False, min_value=1, help_text="How many numbers from there on (forecasting)."
    )
    step = forms.IntegerField(
        required=False, min_value=1, help_text="Rows from one window to the next."
    )

    def clean(self) -> dict[str, object]:
        """Nothing that was filled in is left out without a word."""
        values = super().clean()
        given = [name for name in values if values[name] not in (None, [], "")]
        if given and "length" not in given and "length" not in self.errors:
            named = ", ".join(str(self[name].label) for name in given)
            self.add_error(
                "length",
                f"Say how many rows a window has, or empty what belongs to windows: {named}.",
            )
        return values

    def contract(self) -> dict[str, object] | None:
        """The document's windows; None where every row stands alone."""
        if not self.cleaned_data["length"]:
            return None
        return {key: value for key, value in self.cleaned_data.items() if value is not None}
