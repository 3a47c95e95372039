"""The planner prices a study form as it is written, for study leads, and tells nobody's secrets."""

import json
import re
import time

import pytest
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounting.dp.accountants import epsilon
from accounting.services import budgets
from federation.protocol import plans
from studies.models import Role
from studies.services import people
from tests.pages.filled import filled
from tests.pages.markup import Page
from tests.studies.protocols import small_protocol

PLANNER = "/planner/"
LENT = [{"name": "heart", "lineage": "heart-1988", "epsilon": "3", "delta": "0.001"}]


@pytest.fixture
def ada(cast, browse):
    return browse(cast.ada)


@pytest.fixture
def lent(hospitals):
    """Cleveland and Budapest lend the same amount; Zurich nothing."""
    for house in (hospitals.cleveland, hospitals.budapest):
        budgets.declare(house, LENT)


def form(**changes: str) -> dict[str, str]:
    return filled(small_protocol(), **changes)


def asked(client, **changes: str) -> str:
    answer = client.post(PLANNER, form(**changes))
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_noise_is_what_submission_will_seal(ada):
    sealed = plans.seal(small_protocol()).plan
    html = asked(ada)
    assert f"{sealed.noise_multipliers[0]:.5g}" in html
    assert f"ε = {shown(float(sealed.epsilon))}" in html
    assert "PLD accountant" in html


def shown(value: float) -> str:
    return f"{-(-value * 1000 // 1) / 1000:.3f}"
