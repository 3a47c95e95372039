"""The buttons under an architecture fill in its parameters, and what they fill in is kept."""

import json

import pytest
from django.test import Client

from federation.learning import architectures
from studies.selectors.protocols import protocol_of
from tests.browser import rendered
from tests.pages.conftest import *  # noqa: F403
from tests.pages.test_every_address import address

pytestmark = [pytest.mark.browser, pytest.mark.django_db]
WITH_PRESETS = [
    name
    for name in architectures.names()
    if architectures.get(name).presets and architectures.get(name).Parameters.model_fields
]


@pytest.fixture
def page(chromium, cast, submitted):
    client = Client()
    client.force_login(cast.ada)
    page = rendered.opened(chromium, client, 1280)
    rendered.settled(page, address("study-edit"))
    yield page
    page.context.close()


def choose(page, name: str):
    """Only the chosen architecture's part is there; it is returned."""
    page.locator("#id_model-architecture").select_option(name)
    part = page.locator("[data-shown-by='model-architecture']:visible")
    assert part.count() == 1
    return part


def shown(page, name: str) -> dict[str, str]:
    fields = page.locator(f"[name^='parameters-{name}-']")
    return {field.get_attribute("name"): text_of(field) for field in fields.all()}


def text_of(field) -> str:
    ticked = field.get_attribute("type") == "checkbox"
    return str(field.is_checked()) if ticked else field.input_value()


@pytest.mark.parametrize("name", WITH_PRESETS)
def test_every_button_fills_in_its_fields(page, name):
    part = choose(page, name)
    for preset, values in architectures.get(name).presets.items():
        button = part.get_by_role("button", name=preset, exact=True)
        button.focus()
        page.keyboard.press("Enter")
        found = shown(page, name)
        for key, value in values.items():
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            assert found[f"parameters-{name}-{key}"] == text
        assert part.locator("[data-preset-status]").inner_text() == f"Filled in: {preset}."


BOX = """([texts]) => {
  const form = document.querySelector("[data-preset]").form;
  const field = Object.assign(document.createElement("input"), {type: "checkbox", name: "biased"});
  const button = Object.assign(document.createElement("button"), {type: "button", id: "tick"});
  button.dataset.preset = texts;
  form.append(field, button);
}"""


@pytest.mark.parametrize("wanted", [True, False])
def test_a_box_is_ticked_or_not(page, wanted):
    """No architecture has a parameter of yes or no yet; a new file may."""
    page.evaluate(BOX, [json.dumps({"biased": str(wanted)})])
    box = page.locator("[name='biased']")
    box.set_checked(not wanted)
    page.evaluate("document.getElementById('tick').click()")
    assert text_of(box) == str(wanted)


def test_a_preset_undoes_what_was_typed_and_touches_no_other_model(page):
    part = choose(page, "mlp")
    before = {name: shown(page, name) for name in WITH_PRESETS if name != "mlp"}
    part.locator("[name='parameters-mlp-hidden']").fill("not a number")
    preset, values = next(iter(architectures.get("mlp").presets.items()))
    part.get_by_role("button", name=preset, exact=True).click()
    assert shown(page, "mlp")["parameters-mlp-hidden"] == ", ".join(map(str, values["hidden"]))
    assert {name: shown(page, name) for name in before} == before


def test_what_a_preset_filled_in_is_kept(page, submitted):
    preset, values = next(iter(architectures.get("mlp").presets.items()))
    choose(page, "mlp").get_by_role("button", name=preset, exact=True).click()
    page.locator("#id_training-initialisation").select_option("seeded")
    page.get_by_role("button", name="Keep this version").click()
    page.wait_for_url("**/protocol/")
    submitted.refresh_from_db()
    model = protocol_of(submitted).model
    wanted = architectures.read("mlp", values)
    assert (model.architecture, architectures.read("mlp", model.parameters)) == ("mlp", wanted)


def test_the_buttons_keep_the_page_in_order(page):
    choose(page, "lstm").get_by_role("button").first.click()
    assert page.evaluate(rendered.WIDE) == []
    assert rendered.axe(page) == []
