"""The whole protocol as one set of forms, to the document and back."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.forms import BaseFormSet, formset_factory
from pydantic import ValidationError

from federation.learning import architectures, strategies
from federation.protocol.document import NumberTarget, Privacy, Protocol
from studies.forms import contract, machines, sections
from studies.forms.architecture import ArchitectureForm, ParametersForm
from studies.forms.faults import Mark, marks, spread_faults

ColumnFormSet = formset_factory(
    contract.ColumnForm, extra=0, min_num=1, validate_min=True, max_num=1000, can_delete=True
)
MemberFormSet = formset_factory(sections.MemberForm, extra=0, min_num=1, can_delete=True)
SECTIONS = {
    "study": sections.StudyForm,
    "data": contract.DataForm,
    "windows": contract.WindowsForm,
    "target": contract.TargetForm,
    "model": ArchitectureForm,
    "training": sections.TrainingForm,
    "privacy": sections.PrivacyForm,
    "rounds": sections.RoundsForm,
    "evaluation": sections.EvaluationForm,
    "audit": sections.AuditForm,
}


class ProtocolForms:
    """All sections together; `protocol` is set by a successful `is_valid`.

    `institutions` are (slug, name) pairs that may be invited; `current` is the protocol that is
    being changed. What has no field (a public file's digest) is kept from `current`.
    """

    def __init__(
        self,
        data: Any = None,
        files: Any = None,
        *,
        institutions: list[tuple[str, str]],
        current: Protocol | None = None,
    ) -> None:
        initial = to_initial(current) if current else {}
        self.current = current
        self.protocol: Protocol | None = None
        self.faults: list[str] = []
        self.parts: dict[str, forms.Form] = {
            name: form(data, files, prefix=name, initial=initial.get(name))
            for name, form in SECTIONS.items()
        }
        kept = current.evaluation.public_digest if current else None
        if kept:
            told = f"One is kept (SHA-256 {kept[:12]}…); another takes its place."
            self.parts["evaluation"].fields["public_rows"].help_text = told
        else:
            del self.parts["evaluation"].fields["forget_public_rows"]
        self.columns = ColumnFormSet(data, prefix="columns", initial=initial.get("columns"))
        self.classes = machines.ClassFormSet(data, prefix="classes", initial=initial.get("classes"))
        self.members = MemberFormSet(
            data,
            prefix="members",
            initial=initial.get("members"),
            form_kwargs={"institutions": institutions},
        )
        self.parameters = [
            ParametersForm(name, data, initial=initial.get(f"parameters-{name}"))
            for name in architectures.names()
        ]

    def is_valid(self) -> bool:
        """Whether every form and then the document itself is in order; faults lie on the fields."""
        checked = [form.is_valid() for form in self.used()]  # all of them, to show every fault
        if not all(checked):
            return False
        try:
            self.protocol = Protocol.model_validate(self._document())
        except ValidationError as error:
            self.faults = spread_faults(self, error)
            return False
        try:
            architectures.check(self.protocol)
            strategies.check(self.protocol)
        except (architectures.ArchitectureError, strategies.StrategyError) as error:
            self.faults = [str(error)]
            return False
        return True

    def marks(self) -> list[Mark]:
        """The faults that stand at fields, to be listed where the page begins."""
        return marks(self) if self.columns.is_bound else []

    def public_rows(self) -> UploadedFile | None:
        """The public evaluation file that came with the form."""
        return self.parts["evaluation"].cleaned_data["public_rows"]

    def rows(self) -> list[forms.Form]:
        """The columns that were not removed, in the document's order."""
        return _filled_in(self.columns)

    def invited(self) -> list[forms.Form]:
        """The members that were not removed, in the document's order."""
        return _filled_in(self.members)

    def _chosen(self) -> ParametersForm:
        """The parameters of the chosen architecture (of any, where the choice itself is wrong)."""
        name = self.parts["model"]["architecture"].value()
        chosen = [form for form in self.parameters if form.architecture.name == name]
        return (chosen or self.parameters)[0]

    def used(self) -> list[Any]:
        """All forms and formsets that count: of the architectures' parameters, the chosen one's."""
        rows = (self.columns, self.classes, self.members)
        return [*self.parts.values(), *rows, self._chosen()]

    def _document(self) -> dict[str, Any]:
        parts = {name: dict(form.cleaned_data) for name, form in self.parts.items()}
        aggregation = {key: parts["rounds"].pop(key) for key in ("strategy", "weights")}
        parts["training"]["class_weights"] = parts["training"]["class_weights"] or None
        parts["training"]["classes"] = machines.document(self.classes)
        return {
            **parts["study"],
            "data": {
                **parts["data"],
                "columns": [_column(row.cleaned_data) for row in self.rows()],
                "target": self.parts["target"].contract(),
                "windows": self.parts["windows"].contract(),
            },
            "model": {**parts["model"], "parameters": self._chosen().parameters()},
            "training": parts["training"],
            "privacy": _privacy(parts["privacy"]),
            "aggregation": aggregation,
            "rounds": parts["rounds"],
            "evaluation": self._evaluation(parts["evaluation"]),
            "audit": parts["audit"] if parts["audit"]["canaries"] else None,
            "cohort": [self._member(row.cleaned_data) for row in self.invited()],
        }

    def _member(self, values: dict[str, Any]) -> dict[str, Any]:
        """Which class its machine is of, the site says; until then it is as a file said."""
        named = self.current.cohort if self.current else []
        machine = {row.institution: row.machine for row in named}
        shown = {key: values[key] for key in ("institution", "cohort_size")}
        return {**shown, "machine": machine.get(values["institution"])}

    def _evaluation(self, values: dict[str, Any]) -> dict[str, Any]:
        """A new file's digest is computed by the service that keeps it."""
        replaced = values.pop("public_rows") is not None
        removed = values.pop("forget_public_rows", False)
        kept = self.current.evaluation.public_digest if self.current else None
        return {**values, "public_digest": None if replaced or removed else kept}


def _filled_in(rows: BaseFormSet) -> list[forms.Form]:
    """Rows that were neither removed nor left blank (which Django takes for valid, and empty)."""
    found = [(row, row.cleaned_data) for row in rows.forms]
    return [row for row, values in found if values and not values.get("DELETE")]


def _privacy(values: dict[str, Any]) -> dict[str, Any]:
    shape = values.pop("shape")
    bounds = {name: values.pop(name) for name in ("least_noise", "most_noise")}
    if values["schedule"] == "custom":
        values["schedule"] = shape
    if values["schedule"] == "adaptive":
        values |= {"schedule": "uniform", "adaptive": bounds}
    return values


def _column(values: dict[str, Any]) -> dict[str, Any]:
    shared = {key: values[key] for key in ("name", "kind", "outside", "missing")}
    if values["kind"] == "category":
        return {**shared, "categories": values["categories"]}
    if values["kind"] == "array":
        return {**shared, **_given(values)}
    if values["missing"] == "constant":
        shared["missing"] = values["missing_constant"]
    numbers = {key: values[key] for key in ("unit", "low", "high", "centre", "spread")}
    return {**shared, **numbers}


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Of an array; what is left empty is as the document has it."""
    keys = ("shape", "low", "high", "centre", "spread", "other_sizes")
    return {key: values[key] for key in keys if values[key] not in (None, "")}


def to_initial(protocol: Protocol) -> dict[str, Any]:
    """The forms' initial values for a protocol: the inverse of reading them."""
    document = protocol.model_dump(mode="json")
    data, target = document["data"], protocol.data.target
    own_shape = isinstance(protocol.privacy.schedule, list)
    return {
        "study": document,
        "data": data,
        "columns": [_column_initial(column) for column in data["columns"]],
        "windows": data.get("windows") or {},
        "target": {"missing": target.missing, **data["target"], "classes": _classes(protocol)},
        "model": document["model"],
        f"parameters-{protocol.model.architecture}": protocol.model.parameters,
        "training": document["training"],
        "classes": machines.initial(protocol),
        "privacy": {
            **document["privacy"],
            "schedule": _schedule(protocol.privacy),
            **(document["privacy"].get("adaptive") or {}),
            "shape": protocol.privacy.schedule if own_shape else [],
        },
        "rounds": {**document["rounds"], **document["aggregation"]},
        "evaluation": document["evaluation"],
        "audit": document.get("audit", {}),
        "members": document["cohort"],
    }


def _classes(protocol: Protocol) -> tuple[list[str], list[list[str]]]:
    target = protocol.data.target
    return ([], []) if isinstance(target, NumberTarget) else (target.names, target.classes)


def _schedule(privacy: Privacy) -> str:
    if privacy.adaptive:
        return "adaptive"
    return "custom" if isinstance(privacy.schedule, list) else privacy.schedule


def _column_initial(column: dict[str, Any]) -> dict[str, Any]:
    missing = column["missing"]
    if isinstance(missing, str):
        return column
    return {**column, "missing": "constant", "missing_constant": missing}
