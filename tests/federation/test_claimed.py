"""Noise chosen on the way: every page claims what the filter allows, and no page claims less."""

import re

import pytest

from accounting.dp.filters import best_order, fits_adaptively
from accounting.models import DatasetBudget
from accounting.selectors import histories, overview, spending
from config.launch import outcome
from federation.model_card import model_card
from federation.selectors import models
from studies.models import Institution
from tests.federation.conftest import advance
from tests.federation.test_adaptive import ADAPTIVE

BOUND = "| zurich | 3.000 | 0.001 | rdp cloister 1 (RDP, exact moments), order {}, sealed"


@pytest.fixture
def half(start, sites):
    """Two of its four rounds ran."""
    study = start(**ADAPTIVE)
    for _ in range(4):
        advance(study)
        for site in sites.values():
            site.work()
    return advance(study)


def so_far(study):
    """As the filter counts it."""
    spent = histories.load(["zurich"]).study(study.slug, "zurich")
    return fits_adaptively(spent, 3.0, 1e-3, best_order(3.0, 1e-3)).figure


def test_the_model_card_claims_the_bound_and_labels_the_odometer(half):
    card = model_card(half, models.latest(half))
    privacy = re.search(r"## Privacy.*?## Metrics", card, re.S).group(0)
    assert BOUND.format(f"{best_order(3.0, 1e-3):g}") in privacy
    assert "an odometer: it may be shown, not claimed" in privacy
    assert f"zurich ε = {so_far(half).shown()} (0.001, rdp" in privacy
    assert "| pld" not in privacy


def test_the_studys_page_claims_the_bound_and_what_the_filter_has_left(half):
    (loss,) = overview.losses(half, Institution.objects.filter(slug="zurich"))
    assert (loss.figure.epsilon, loss.figure.accountant) == (3.0, "rdp")
    assert loss.spent == so_far(half)
    assert loss.left == pytest.approx(3.0 - so_far(half).epsilon)
    assert "an odometer: it may be shown, not claimed" in loss.odometer


def test_the_datasets_budget_counts_as_its_filter_does(half):
    (row,) = spending.remaining_all(DatasetBudget.objects.filter(institution="zurich"))
    order = float(DatasetBudget.objects.get(institution="zurich").filter_order)
    spent = histories.load(["zurich"]).dataset("zurich", "heart-1988")
    assert row.figure == fits_adaptively(spent, 50.0, 1e-3, order).figure
    assert row.limit - row.left == pytest.approx(row.figure.epsilon + row.committed)
    assert row.odometer


def test_what_it_commits_before_its_first_round_is_its_whole_bound(start):
    start(**ADAPTIVE)
    (row,) = spending.remaining_all(DatasetBudget.objects.filter(institution="zurich"))
    assert row.figure.epsilon == 0.0
    assert row.committed == pytest.approx(50.0 - row.left)
    assert row.committed > 0.5


def test_the_summary_of_a_simulation_claims_the_bound(half):
    found = outcome.summary(outcome.measure(half, 1.0))
    assert found["epsilon"]["zurich"] == 3.0
    assert found["odometer"]["zurich"] == so_far(half).epsilon
    assert "odometer" in outcome.table(outcome.measure(half, 1.0))


def test_a_sealed_study_claims_what_it_spent(study):
    (loss,) = overview.losses(study, Institution.objects.filter(slug="zurich"))
    assert loss.figure == loss.spent
    assert (loss.figure.accountant, loss.odometer) == ("pld", "")
