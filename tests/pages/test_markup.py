"""No page carries an inline script or style, an id twice, or a control without a label."""

import pytest
from django.conf import settings
from django.urls import reverse

from tests.pages.markup import Page
from tests.pages.test_every_address import ROWS, address

LEAD = ("home", "institutions", "institution-new", "institution", "studies", "study-new")
LEAD += ("study-import", "study", "study-protocol", "study-action", "ledger", "report", "reports")
ADMIN = (
    "home",
    "institution",
    "study-approve",
    "participation-action",
    "institution-revoke",
    "budget-lower",
    "journals",
    "reports",
    "report-show",
    "report-request",
    "issued-report",
    "report-sign",
)
FOR_OFFICERS = ("panel-house", "panel-verdict", "panel-lending", "panel-report-request")
PANELS = [name for name in ROWS if name.startswith("panel-")]


def page(client, name) -> Page:
    answer = client.get(address(name))
    assert answer.status_code == 200
    return Page(answer.content.decode())


@pytest.mark.parametrize("name", LEAD)
def test_pages_of_a_lead(name, played, cast, browse):
    assert page(browse(cast.ada), name).page_faults() == []


@pytest.mark.parametrize("name", ADMIN)
def test_pages_of_a_site_admin(name, submitted, cast, browse):
    assert page(browse(cast.carla), name).page_faults() == []


@pytest.mark.parametrize("name", PANELS)
def test_panels(name, played, cast, browse):
    who = cast.otto if name in FOR_OFFICERS else cast.ada
    assert page(browse(who), name).all_faults() == []


def test_the_page_with_its_panels_has_no_id_twice(played, cast, browse):
    client = browse(cast.ada)
    html = client.get(reverse("study", args=(played.slug,))).content.decode()
    for name in ("rounds", "utility", "budget", "participations", "events"):
        html += client.get(reverse(f"panel-{name}", args=(played.slug,))).content.decode()
    whole = Page(html)
    assert whole.all_faults() == []
    assert set(whole.references) <= set(whole.ids)


def test_the_form_of_a_written_study(draft, cast, browse):
    answer = browse(cast.ada).get(reverse("study-edit", args=(draft.slug,)))
    assert Page(answer.content.decode()).page_faults() == []


@pytest.mark.parametrize("address", ["/login/", "/no/such/page/"])
def test_pages_for_anybody(address, browse, db):
    assert Page(browse().get(address).content.decode()).page_faults() == []


def test_the_policy_allows_nothing_inline_but_style_attributes():
    rules = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == ["'self'"]
    assert rules["default-src"] == ["'self'"]


def test_the_eye_sees_what_it_should():
    html = '<b onclick="x" id="a"></b><i id="a"></i><script>1</script><input name="n">'
    assert len(Page(html).all_faults()) == 4
