"""A report that was issued in an earlier form is still shown, and its own digest stays."""

import copy
import json

import pytest

from accounting.reports.build import Report, preview, sealed
from accounting.reports.older import modern
from accounting.reports.renderings import FORMS, page_context, rendered
from accounting.reports.scopes import Scope
from tests.accounting import builders as b

pytestmark = pytest.mark.django_db
SCOPES = (Scope("heart"), Scope("heart", "zurich"), Scope(institution="cleveland"), Scope())


def before(document: dict) -> dict:
    """As schema 2 had it: one group over all parts, the largest sum claimed, no readings."""
    found = copy.deepcopy(document)
    found["report"]["schema"] = "cloister-privacy-report/2"
    spent = found["parameters"]
    for part in spent["institutions"]:
        claimed = part.pop("claimed")
        part["odometer"] = claimed if part["odometer"] else None
        part["second_opinion"] = part["second_opinion"] or part["spent"]
        for row in part["by_study"]:
            for name in ("accountant", "unit", "odometer"):
                row.pop(name)
    groups = spent["across_institutions"]
    for name in ("unit", "delta", "parts", "claimed"):
        groups[0].pop(name)
    spent["across_institutions"] = groups[0]
    for row in spent["lifetime"] if isinstance(spent["lifetime"], list) else []:
        row.pop("unit"), row.pop("odometer")
    for line in found["statement"]:
        line.pop("reading")
    for row in found["releases"]["released"]:
        row.pop("outcome")
    return found


@pytest.fixture
def world(world):
    b.whole_round(b.key("cleveland", study="lungs"))
    return world


@pytest.mark.parametrize("form", sorted(FORMS))
@pytest.mark.parametrize("scope", SCOPES, ids=lambda scope: scope.text or "everything")
def test_it_is_rendered(scope, form, world):
    old = sealed(before(preview(scope).document))
    shown = Report(modern(old.document), old.text, old.digest)
    data = rendered(shown, form)
    assert old.text.encode() == data if form == "json" else data
    assert page_context(shown)["report"].digest == old.digest


def test_what_was_claimed_then_is_what_is_shown(world):
    old = before(preview(Scope(institution="cleveland")).document)
    (part,) = modern(old)["parameters"]["institutions"]
    assert part["claimed"] == old["parameters"]["institutions"][0]["odometer"]
    assert part["odometer"]


def test_one_of_the_present_form_is_left_alone(world):
    document = json.loads(preview(Scope("heart")).text)
    assert modern(document) is document
