"""Numbers, times and statuses are written alike everywhere; test_bare_epsilon.py has the ε."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounting.dp.figures import Figure
from federation.models import AssignmentStatus, RoundStatus
from federation.protocol.messages import Reason
from studies.badges import BADGES, REASONS, badge
from studies.services.events import KINDS
from studies.states import ParticipationStatus, StudyStatus
from studies.templatetags import cloister

TEMPLATES = sorted((settings.BASE_DIR / "templates").rglob("*.html"))
FIGURE = Figure(0.99961, 1e-3, "pld", "dp_accounting 0.6", "1e-4")


def test_a_price_names_its_terms_and_is_rounded_up():
    html = cloister.price(FIGURE, "patient", "this study")
    assert "ε = 1.000" in html
    assert "δ = 0.001 · PLD accountant · per patient · this study" in html


@given(st.floats(1e-6, 1e4))
def test_epsilon_is_never_rounded_down(value):
    assert float(cloister.epsilon(value)) >= value
    assert float(cloister.epsilon(str(value))) - value < 0.00101


def test_every_status_has_a_badge():
    for states in (StudyStatus, ParticipationStatus, AssignmentStatus, RoundStatus):
        assert set(states.values) <= set(BADGES)


def test_every_badge_has_its_icon():
    sprite = (settings.BASE_DIR / "static/vendor/tabler-icons/icons.svg").read_text()
    named = set(re.findall(r'<symbol id="([^"]+)"', sprite))
    used = {shape.icon for shape in BADGES.values()} | {badge("unheard-of").icon}
    for path in TEMPLATES:
        used |= set(re.findall(r'{% icon "([^"]+)"', path.read_text()))
    assert used <= named


def test_every_reason_of_a_refusal_has_words():
    assert set(REASONS) == set(Reason)


def test_what_people_typed_is_escaped():
    assert "<b>" not in cloister.status("<b>")


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "just now"), (70, "1\xa0minute ago"), (7300, "2\xa0hours ago")]
)
def test_times_are_told_from_now(seconds, words):
    html = cloister.ago(timezone.now() - timedelta(seconds=seconds))
    assert f">{words}</time>" in html
    assert "UTC" in html


def test_never_is_never():
    assert cloister.ago(None) == "never"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        ([], "(none)"),
        (["a", "b"], "a, b"),
        ({"low": 1.0, "unit": None}, "low: 1"),
        (0.001, "0.001"),
        ("", "(empty)"),
        (True, "True"),
    ],
)
def test_values_of_a_protocol_are_readable(value, text):
    assert cloister.plain(value) == text


def test_a_panel_is_fetched_at_once_and_after_a_gap():
    trigger = cloister.stale_on("round_closed study_held")
    assert trigger.startswith("load, news:round_closed from:body delay:")
    assert "news:reconnected from:body" in trigger


def test_panels_wait_for_kinds_that_exist():
    from_templates = re.findall(r"stale_on '([^']+)'", "".join(p.read_text() for p in TEMPLATES))
    kinds = {kind for found in from_templates for kind in found.split()}
    assert kinds
    assert kinds <= set(KINDS)


def test_a_time_of_a_document_is_told_and_words_stay():
    assert cloister.moment("2026-11-21T14:13:08.300613Z") == "2026-11-21 14:13 UTC"
    assert cloister.moment("nothing is in the ledger yet") == "nothing is in the ledger yet"


@pytest.mark.parametrize(
    ("value", "path", "shown"),
    [
        ([5.1519] * 15, "plan.noise_multipliers", "5.1519 (15 times)"),
        ([2.0, 2.0, 1.0], "privacy.schedule", "2, 2, 1"),
        ("0.9984559888983948", "plan.epsilon", "0.999"),
        ({"epsilon": "0.9984559888983948", "version": "2"}, "plan", "epsilon: 0.999; version: 2"),
        ("0.9984559888983948", "data.target.column", "0.9984559888983948"),
        (None, "plan.epsilon", "–"),
        ({"small": {"local_steps": 1}}, "training.classes", "small: local_steps: 1"),
    ],
)
def test_a_change_reads_like_the_protocols_page(value, path, shown):
    assert cloister.told(value, path) == shown
