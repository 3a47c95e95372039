"""A study whose target is a number: its pages speak of errors, its form sends to the study file."""

import pytest
from django.urls import reverse

from studies.services import studies
from tests.pages.scenes import measured
from tests.studies.protocols import small_protocol

DATA = {
    "columns": [{"name": "ili", "low": 0, "high": 20}],
    "target": {"column": "ili", "kind": "number", "low": 0, "high": 20, "unit": "%"},
    "unit": "patient",
    "patient_column": "region",
    "max_rows_per_patient": 200,
    "windows": {"length": 12, "horizon": 4, "order": ["week"]},
}


@pytest.fixture
def forecast(cast, hospitals):
    protocol = small_protocol(data=DATA, model={"architecture": "lstm"})
    return studies.create(protocol=protocol, by=cast.ada)


def test_the_protocol_says_what_is_forecast(forecast, cast, browse):
    page = browse(cast.ada).get(reverse("study-protocol", args=(forecast.slug,)))
    html = " ".join(page.content.decode().split())
    assert "<dt>A number</dt><dd>0 to 20 %</dd>" in html
    assert "12 rows, a new one every 1; predicted: 4 rows after the last" in html
    assert "LSTM" in html
    assert "<dt>Classes</dt>" not in html


def test_utility_is_errors(forecast, cast, browse):
    measured(forecast, 1, mae=1.25, rmse=2.5, bias=-0.5)
    page = browse(cast.ada).get(reverse("panel-utility", args=(forecast.slug,)))
    html = page.content.decode()
    assert "Mean absolute error" in html
    assert '<td class="num">1.25</td><td class="num">2.5</td><td class="num">-0.5</td>' in html
    assert "Sensitivity" not in html


def test_the_form_gives_way_to_the_study_file(forecast, cast, browse):
    page = browse(cast.ada).get(reverse("study-edit", args=(forecast.slug,)), follow=True)
    assert "a number as the target" in page.content.decode()
