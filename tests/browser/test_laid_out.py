"""Every page on a narrow screen: nothing moves it sideways, cards are labelled, axe is content."""

from urllib.parse import parse_qs

import pytest
from django.test import Client
from playwright.sync_api import Response

from studies.models import Institution
from tests.browser import rendered
from tests.pages.conftest import *  # noqa: F403
from tests.pages.test_every_address import address

pytestmark = [pytest.mark.browser, pytest.mark.django_db]
LONG = "The Hungarian Institute of Cardiology and Vascular Surgery, Budapest"
OF_STUDY = ("study", "study-protocol", "ledger-study", "report")
PAGES = {
    "ada": (
        *("home", "studies", "study-new", "study-edit", "study-import", "institutions"),
        *("institution", "institution-new", "ledger", "reports", "study-action", *OF_STUDY),
        "round-cancel",
    ),
    "carla": (
        *("home", "study-approve", "participation-action", "institution", "institution-revoke"),
        *("budget-lower", "budget-raise", "raise-decide", "journals", "violations", "ledger"),
        *("reports", "report-show", "report-request", "study"),
    ),
    "otto": (
        *("home", "ledger", "violations", "explain", "journals", "reports", "report-show"),
        *("issued-report", "report-sign", "study-attest", "raise-decide", *OF_STUDY),
    ),
    "petra": ("home", "institutions"),
}
BEFORE_START = ("study-edit", "study-approve", "participation-action")
WALKS = [(who, name) for who, names in PAGES.items() for name in names]


@pytest.fixture
def walk(chromium, cast, request):
    """walk(who, name, width, dark): that page in Chromium, with all its panels."""
    Institution.objects.filter(slug="budapest").update(name=LONG)
    pages = []

    def go(who: str, name: str, width: int, dark: bool = False):
        request.getfixturevalue("submitted" if name in BEFORE_START else "played")
        client = Client()
        client.force_login(getattr(cast, who))
        page = rendered.opened(chromium, client, width, dark)
        pages.append(page)
        rendered.settled(page, address(name))
        return page

    yield go
    for page in pages:
        page.context.close()


@pytest.mark.parametrize(("who", "name"), WALKS)
def test_a_narrow_screen(walk, who, name):
    page = walk(who, name, 400)
    assert page.evaluate(rendered.WIDE) == []
    assert page.evaluate(rendered.HIDDEN_PLACE) is False
    assert page.evaluate(rendered.UNLABELLED) == []
    assert rendered.axe(page) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("who", "name"),
    [("ada", "study"), ("otto", "ledger"), ("otto", "report"), ("carla", "study-approve")],
)
def test_axe_on_a_wide_screen(walk, who, name, dark):
    assert rendered.axe(walk(who, name, 1280, dark)) == []


def planned(answer: Response, schedule: str) -> bool:
    """Whether it prices all that was typed."""
    typed = parse_qs(answer.request.post_data or "")
    wanted = {"privacy-schedule": [schedule], "privacy-target_epsilon": ["1"]}
    return wanted.items() <= typed.items()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_axe_on_the_planner_while_it_is_used(walk, width, dark):
    page = walk("ada", "study-edit", width, dark)
    if width == 400:
        page.locator("#planner summary").first.click()
    page.locator("#planner-shared").check()
    for schedule in ("uniform", "adaptive"):
        with page.expect_response(lambda answer, wanted=schedule: planned(answer, wanted)):
            page.locator("#id_privacy-schedule").select_option(schedule)
            page.locator("#id_privacy-noise_multiplier").fill("")
            page.locator("#id_privacy-target_epsilon").fill("1")
        page.wait_for_function(rendered.SETTLED)
        page.wait_for_function("() => document.querySelector('#planner-answer .figure-large')")
        assert page.evaluate(rendered.WIDE) == []
        assert rendered.axe(page) == []
    assert "ε ≤ 1" in page.locator("#planner-strip").inner_text()


def test_a_plan_that_takes_long_is_replaced_by_the_page_itself(walk):
    """First what the Rényi accountant proves, then, unasked, the reference accountant's."""
    page = walk("ada", "study-edit", 1280, False)
    page.wait_for_function("() => document.querySelector('#planner-answer .figure-large')")
    with page.expect_response(
        lambda answer: "planner" in answer.url and "A first bound" in answer.text()
    ):
        page.locator("#id_privacy-schedule").select_option("harmonic")
        page.locator("#id_training-sample_rate").fill("0.0001")
        page.locator("#id_privacy-noise_multiplier").fill("")
        page.locator("#id_privacy-target_epsilon").fill("1")
    page.wait_for_function(
        "() => /PLD/.test(document.getElementById('planner-strip').textContent)", timeout=30_000
    )
    assert page.locator("[data-sketch]").count() == 0
    assert page.locator("#planner-answer .figure-large").count() >= 2
