"""The published JSON Schema: reports of every scope keep to it, and it lets nothing else pass."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
from django.utils import timezone
from jsonschema import Draft202012Validator

from accounting.reports.build import preview
from accounting.reports.schema import schema
from accounting.reports.scopes import Scope
from accounting.services import reports
from studies.services import events
from tests.accounting import world as w

pytestmark = pytest.mark.django_db
PUBLISHED = Path(__file__).parents[2] / "docs" / "report.schema.json"
SCOPES = [
    Scope(),
    Scope("heart"),
    Scope("heart", "zurich"),
    Scope(institution="cleveland"),
    Scope(institution="cleveland", lineage="heart"),
    Scope(unit="row"),
    Scope(institution="zurich", since=timezone.now().date(), unit="patient"),
]


@pytest.fixture
def validator():
    Draft202012Validator.check_schema(schema())
    return Draft202012Validator(schema())


@pytest.fixture
def world(world):
    events.record("quorum_overridden", study=world.study, by=world.lead, round=3, reason="away")
    events.record("ledger_verified", by=world.officer, entries=3, head="a" * 64)
    return world


def test_what_is_published_is_what_is_kept_to():
    assert json.loads(PUBLISHED.read_text()) == schema()


@pytest.mark.parametrize("scope", SCOPES, ids=lambda scope: scope.text or "everything")
def test_previews_keep_to_it(scope, world, validator):
    assert [error.message for error in validator.iter_errors(preview(scope).document)] == []


def test_an_empty_study_keeps_to_it(validator):
    w.build()
    assert list(validator.iter_errors(preview(Scope("heart")).document)) == []


def test_issued_reports_keep_to_it(world, validator):
    for _ in range(2):
        row = reports.issue(Scope("heart"), world.officer)
        assert [e.message for e in validator.iter_errors(json.loads(row.text))] == []


@pytest.mark.parametrize("section", [*schema()["properties"]])
def test_a_report_without_a_section_is_none(section, world, validator):
    document = deepcopy(preview(Scope("heart")).document)
    del document[section]
    assert not validator.is_valid(document)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(opinion="fine"),
        lambda d: d["parameters"]["institutions"][0]["spent"].update(epsilon=1.2),
        lambda d: d["parameters"]["institutions"][0]["spent"].pop("delta"),
        lambda d: d["parameters"]["institutions"][0]["other_deltas"].pop(),
        lambda d: d["mechanisms"][0].update(noise_multiplier="much"),
        lambda d: d["releases"]["released"][0].update(sha256="short"),
        lambda d: d["report"].update(schema="cloister-privacy-report/1"),
        lambda d: d.update(statement=[]),
    ],
)
def test_what_it_does_not_let_pass(spoil, world, validator):
    document = deepcopy(preview(Scope("heart")).document)
    spoil(document)
    assert not validator.is_valid(document)
