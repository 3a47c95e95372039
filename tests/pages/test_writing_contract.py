"""Images, windows over a series, numbers as targets: written and changed by the form."""

from typing import Any

import pytest

from federation.protocol.document import Protocol
from studies.forms.contract import WindowsForm
from tests.pages.filled import filled, reads
from tests.studies.protocols import small_protocol

PATIENTS = {"unit": "patient", "patient_column": "region", "max_rows_per_patient": 500}
CLASSES = {"column": "label", "classes": [["0"], ["1"]]}
PIXELS = {"kind": "array", "name": "pixels", "shape": [1, 28, 28], "other_sizes": "resize"}
RATE = {"name": "rate", "low": 0, "high": 20}
NUMBER = {"column": "rate", "kind": "number", "low": 0, "high": 20, "unit": "%", "outside": "clip"}
WINDOWS = {"length": 8, "order": ["year", "week"], "horizon": 1, "ahead": 4, "step": 2}


def protocol(model: dict[str, Any], **data: Any) -> Protocol:
    document = small_protocol().model_dump(mode="json") | {"plan": None, "model": model}
    document["evaluation"] |= {"public_digest": None}
    document["training"] |= {"class_weights": None, "initialisation": "seeded"}
    return Protocol.model_validate({**document, "data": data})


IMAGES = protocol(
    {"architecture": "cnn", "parameters": {}},
    columns=[{**PIXELS, "centre": 120.0, "spread": 60.0}],
    target={**CLASSES, "missing": "drop"},
)
SERIES = protocol(
    {"architecture": "lstm", "parameters": {}},
    **PATIENTS,
    columns=[RATE],
    target=NUMBER,
    windows={**WINDOWS, "series_column": "strain"},
)


@pytest.mark.parametrize("written", [IMAGES, SERIES], ids=["images", "series"])
def test_what_the_form_is_given_comes_back_equal(written):
    found = reads(filled(written))
    assert found.is_valid(), (found.faults, [part.errors for part in found.parts.values()])
    assert found.protocol.data == written.data


EMPTY = {f"windows-{name}": "" for name in WindowsForm.base_fields}


def test_a_row_that_stands_alone_has_no_windows():
    found = reads(filled(SERIES, **EMPTY))
    assert not found.is_valid()  # the target is a feature, which only a forecast may have
    assert "also declared as a feature" in str(found.parts["data"].errors)
    assert reads(filled(IMAGES)).is_valid()
    assert "windows" not in small_protocol().model_dump(mode="json")["data"]


@pytest.mark.parametrize(
    "given",
    [
        {"windows-order": "week", "windows-step": "2"},
        {"windows-horizon": "0"},
        {"windows-series_column": "strain"},
    ],
)
def test_what_belongs_to_windows_is_not_dropped_without_a_length(given):
    found = reads(filled(IMAGES, **{**EMPTY, **given}))
    assert not found.is_valid()
    said = str(found.parts["windows"].errors["length"])
    assert "how many rows a window has" in said
    assert all(str(found.parts["windows"][key[8:]].label) in said for key in given)


@pytest.mark.parametrize(
    ("written", "changed", "form", "said"),
    [
        (IMAGES, {"columns-0-shape": "1, wide"}, "columns", "is not a number"),
        (IMAGES, {"columns-0-shape": ""}, "columns", "at least 1 item"),
        (IMAGES, {"columns-0-low": "300"}, "columns", "low must be below high"),
        (
            SERIES,
            {"columns-0-missing": "constant", "columns-0-missing_constant": "-999"},
            "columns",
            "-999 is not within low and high",
        ),
        (IMAGES, {"target-classes": ""}, "target", "at least 2 items"),
        (SERIES, {"target-low": "30"}, "target", "low must be below high"),
        (SERIES, {"target-high": ""}, "target", "valid number"),
        (SERIES, {"windows-order": ""}, "windows", "at least 1 item"),
        (SERIES, {"windows-length": "20000"}, "windows", "less than or equal to 10000"),
    ],
)
def test_a_fault_lies_on_its_field(written, changed, form, said):
    found = reads(filled(written, **changed))
    assert not found.is_valid()
    part = found.columns.forms[0] if form == "columns" else found.parts[form]
    assert said in str(part.errors)


def test_windows_of_rows_that_are_nobodys_are_refused():
    found = reads(filled(SERIES, **{"data-unit": "row", "data-patient_column": ""}))
    assert not found.is_valid()
    said = str(found.faults) + "".join(str(part.errors) for part in found.parts.values())
    assert "patient" in said


def test_an_image_model_of_a_table_is_refused_where_it_is_written():
    found = reads(filled(small_protocol(), **{"model-architecture": "cnn"}))
    assert not found.is_valid()
    said = str(found.faults) + str(found.parts["model"].errors)
    assert "shape" in said or "image" in said or "array" in said
