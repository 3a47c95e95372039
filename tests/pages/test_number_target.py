"""A study whose target is a number: its pages speak of errors, and its form loses none of it."""

import json

import pytest
from django.urls import reverse

from studies.selectors.protocols import protocol_of
from studies.services import studies
from tests.pages.filled import filled, reads
from tests.pages.scenes import measured
from tests.studies.protocols import small_protocol

DATA = {
    "columns": [{"name": "ili", "low": 0, "high": 20}],
    "target": {"column": "ili", "kind": "number", "low": 0, "high": 20, "unit": "%"},
    "unit": "patient",
    "patient_column": "region",
    "max_rows_per_patient": 200,
    "windows": {
        "length": 12,
        "horizon": 4,
        "ahead": 2,
        "order": ["week"],
        "series_column": "ward",
    },
}


@pytest.fixture
def forecast(cast, hospitals):
    protocol = small_protocol(data=DATA, model={"architecture": "lstm"})
    return studies.create(protocol=protocol, by=cast.ada)


def test_the_protocol_says_what_is_forecast(forecast, cast, browse):
    page = browse(cast.ada).get(reverse("study-protocol", args=(forecast.slug,)))
    html = " ".join(page.content.decode().split())
    assert "<dt>A number</dt><dd>0 to 20 %</dd>" in html
    assert "12 rows by <code>week</code> of each <code>ward</code>, a new one every 1;" in html
    assert "predicted: 2 rows from 4 rows after the last" in html
    assert "<dt>A row without the target</dt><dd>refused</dd>" in html
    assert "LSTM" in html
    assert "<dt>hidden</dt><dd>32</dd>" in html  # a default is approved, too
    assert "<dt>Classes</dt>" not in html


def test_utility_is_errors(forecast, cast, browse):
    measured(forecast, 1, mae=1.25, rmse=2.5, bias=-0.5)
    page = browse(cast.ada).get(reverse("panel-utility", args=(forecast.slug,)))
    html = page.content.decode()
    assert "Mean absolute error" in html
    assert '<td class="num">1.25</td><td class="num">2.5</td><td class="num">-0.5</td>' in html
    assert "Sensitivity" not in html


def test_the_form_holds_all_of_it(forecast):
    protocol = protocol_of(forecast)
    forms = reads(filled(protocol), protocol)
    assert forms.is_valid(), forms.faults
    assert forms.protocol.data == protocol.data


def test_the_protocol_says_which_values_are_a_named_class(cast, hospitals, browse):
    target = {"column": "sick", "classes": [["0"], ["1", "2"]], "names": ["well", "ill"]}
    study = studies.create(protocol=small_protocol(data={"target": target}), by=cast.ada)
    html = browse(cast.ada).get(reverse("study-protocol", args=(study.slug,))).content.decode()
    assert "<dt>Written as</dt><dd><code>0</code> · <code>1</code> <code>2</code> </dd>" in html


def test_a_protocol_of_another_time_is_still_to_be_read(forecast, cast, browse):
    """Its parameters are not allowed any more."""
    narrow = protocol_of(forecast).model_dump(mode="json")
    narrow["model"]["parameters"] = {"hidden": 10}
    forecast.document = json.dumps(narrow)
    forecast.save(update_fields=["document"])
    page = browse(cast.ada).get(reverse("study-protocol", args=(forecast.slug,)))
    assert "<dt>hidden</dt><dd>10</dd>" in page.content.decode()
