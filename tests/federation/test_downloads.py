"""The model of a study and its card, taken away by the lead; no cache keeps them."""

import pytest
from django.urls import reverse

from federation.model_card import model_card
from federation.selectors import models
from federation.services import blobs
from tests.federation.conftest import advance


@pytest.fixture
def trained(start, sites):
    study = advance(start(rounds={"count": 1}))
    for _ in range(2):
        for site in sites.values():
            site.work()
        advance(study)
    return study


@pytest.fixture
def browser(client, lead, settings):
    settings.ROOT_URLCONF = "config.urls"
    client.force_login(lead)
    return client


def test_the_card_is_that_of_the_newest_model(trained, browser):
    answer = browser.get(reverse("model-card", args=[trained.slug]))
    assert answer.status_code == 200
    assert answer.content.decode() == model_card(trained, models.latest(trained))
    assert answer["Content-Disposition"] == f'attachment; filename="{trained.slug}-model-card.md"'


def test_the_tensors_are_those_of_the_newest_model(trained, browser):
    answer = browser.get(reverse("model-download", args=[trained.slug]))
    data = b"".join(answer.streaming_content)
    assert data == blobs.read(models.latest(trained).reported_digest)


@pytest.mark.parametrize("name", ["model-card", "model-download"])
def test_no_cache_keeps_them(name, trained, browser):
    answer = browser.get(reverse(name, args=[trained.slug]))
    assert answer["Cache-Control"] == "private, no-store"
    answer.close()
