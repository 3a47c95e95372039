"""Classes of machine are added, changed and removed with the keyboard; the planner follows."""

import pytest
from django.test import Client

from studies.models import Study
from studies.selectors.protocols import protocol_of
from tests.browser import rendered
from tests.pages.conftest import *  # noqa: F403
from tests.pages.test_every_address import address

pytestmark = [pytest.mark.browser, pytest.mark.django_db]
ADD = "Add a class of machine"


@pytest.fixture
def form(chromium, cast, submitted):
    """form(width, dark): the submitted study's form in Chromium."""
    pages = []

    def go(width: int, dark: bool = False):
        client = Client()
        client.force_login(cast.ada)
        page = rendered.opened(chromium, client, width, dark)
        pages.append(page)
        rendered.settled(page, address("study-edit"))
        return page

    yield go
    for page in pages:
        page.context.close()


def row(page, number: int, name: str):
    return page.locator(f"[name='classes-{number}-{name}']")


def focused(page) -> str:
    return page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()")


def test_by_keyboard_alone(form):
    page = form(1280)
    add = page.get_by_role("button", name=ADD)
    add.focus()
    page.keyboard.press("Enter")
    assert focused(page) == "classes-0-machine"
    assert row(page, 0, "machine").input_value() == "small"
    common = page.locator("[name='training-local_steps']").input_value()
    assert row(page, 0, "local_steps").input_value() == common
    page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("1")
    page.wait_for_function(
        "() => /1 step,/.test(document.querySelector('[data-class=small]')?.textContent)"
    )
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert focused(page) == "Remove this class"
    page.keyboard.press("Enter")
    assert focused(page) == ADD
    page.wait_for_function("() => !document.querySelector('[data-class=small]')")
    said = page.locator("fieldset:has(> legend:text('Unlike machines')) [role=status]")
    assert said.inner_text() == "Row removed"


def test_what_was_added_is_kept(form, submitted):
    page = form(1280)
    page.get_by_role("button", name=ADD).click()
    page.get_by_role("button", name=ADD).click()
    row(page, 0, "local_steps").fill("1")
    row(page, 1, "machine").select_option("accelerated")
    row(page, 1, "sample_rate").fill("0.75")
    page.get_by_role("button", name="Keep this version").click()
    page.wait_for_url("**/protocol/")
    kept = protocol_of(Study.objects.get(pk=submitted.pk)).training
    assert kept.classes["small"].local_steps == 1
    fast = kept.classes["accelerated"]
    assert (fast.local_steps, fast.sample_rate) == (kept.local_steps, 0.75)


def test_each_class_once(form):
    page = form(400)
    add = page.get_by_role("button", name=ADD)
    for _ in range(4):
        add.click()
    chosen = [row(page, number, "machine").input_value() for number in range(4)]
    assert chosen == ["small", "standard", "large", "accelerated"]
    assert add.is_disabled()
    remove = page.get_by_role("button", name="Remove this class")
    remove.nth(1).click()
    assert add.is_enabled()
    add.click()
    assert row(page, 4, "machine").input_value() == "standard"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_sticks_out_and_axe_is_content(form, width, dark):
    page = form(width, dark)
    for _ in range(2):
        page.get_by_role("button", name=ADD).click()
    row(page, 1, "local_steps").fill("50")
    page.wait_for_function("() => document.querySelector('[data-class=standard]')")
    if width == 400:
        page.locator("#planner summary").first.click()
    assert page.evaluate(rendered.WIDE) == []
    assert rendered.axe(page) == []
