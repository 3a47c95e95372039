"""A study whose target is a number: its pages speak of errors, and its form loses none of it."""

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
    "windows": {"length": 12, "horizon": 4, "ahead": 2, "order": ["week"]},
}


@pytest.fixture
def forecast(cast, hospitals):
    protocol = small_protocol(data=DATA, model={"architecture": "lstm"})
    return studies.create(protocol=protocol, by=cast.ada)


def test_the_protocol_says_what_is_forecast(forecast, cast, browse):
    page = browse(cast.ada).get(reverse("study-protocol", args=(forecast.slug,)))
    html = " ".join(page.content.decode().split())
    assert "<dt>A number</dt><dd>0 to 20 %</dd>" in html
    assert "12 rows, a new one every 1; predicted: 2 rows from 4 rows after the last" in html
    assert "LSTM" in html
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
