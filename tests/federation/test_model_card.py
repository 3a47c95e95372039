"""The card of a model: complete, priced, and harmless to render."""

import json
from dataclasses import replace

import pytest

from accounting.dp.accountants import epsilon
from federation.model_card import model_card
from federation.selectors import models
from tests.accounting import builders as b
from tests.federation.conftest import advance


@pytest.fixture
def card(start, sites, tmp_path):
    study = advance(start(rounds={"count": 1}, name="Heart | <script>"))
    for _ in range(2):
        for site in sites.values():
            site.work()
        advance(study)
    return study, model_card(study, models.latest(study))


def test_it_never_calls_anything_anonymous(card):
    assert "anonym" not in card[1].lower()


def test_it_says_all_that_it_promises(card):
    study, text = card
    for word in (
        models.latest(study).reported_digest,
        study.protocol_digest,
        "| age | number | 20 to 90 | refuse |",
        "max_grad_norm 0.5",
        "budapest, cleveland, zurich",
        "honest site software",
        "not a medical device",
        "noised histograms",
    ):
        assert word in text


def test_each_epsilon_is_the_ledgers_with_accountant_delta_and_unit(card):
    study, text = card
    figure = epsilon(b.events_of(study.slug, "zurich"), 1e-3)
    assert figure.epsilon > 0
    expected = f"| zurich | {figure.shown()} | 0.001 | {figure.accountant} {figure.version} |"
    assert expected in text
    assert "For one row added or removed" in text


def test_a_protocols_text_cannot_become_markup(card):
    _, text = card
    assert text.startswith("# Heart \\| &lt;script>")


def test_it_tells_class_weights_and_why_histograms_are_withheld(card):
    study, _ = card
    row = models.latest(study)
    changes = {"class_weights": [1, 30], "proximal": 0.1}
    weighted = {"training": json.loads(study.document)["training"] | changes}
    study.document = json.dumps({**json.loads(study.document), **weighted})
    withheld = replace(row, sites={"withheld": "fewer than 3 institutions contributed"})
    text = model_card(study, withheld)
    assert "Class weights: 1, 30" in text
    assert "pulled to the round's model (FedProx, μ = 0.1)" in text
    assert "withheld: fewer than 3 institutions" in text
    assert "not measured" not in text


def test_it_names_engine_and_grade_of_noise(card):
    study, text = card
    assert "engine bookkeeping; noise: floating point" in text
    changes = {"engine": "opacus", "noise": "hardened"}
    document = json.loads(study.document)
    study.document = json.dumps(document | {"training": document["training"] | changes})
    assert "engine opacus; noise: hardened" in model_card(study, models.latest(study))


def test_it_tells_each_class_how_much_of_it_is_found(card):
    study, _ = card
    document = json.loads(study.document)
    document["data"]["target"] |= {"classes": [["0"], ["1"], ["2"]], "names": ["well", "a|b", "c"]}
    study.document = json.dumps(document)
    found = {
        "accuracy": 0.5,
        "recalls": [0.75, 0.25, None],
        "contributors": ["a", "b", "c"],
        "noise_standard_deviation": 6.9,
    }
    text = model_card(study, replace(models.latest(study), sites=found))
    assert "noise per cell 6.9" in text
    assert "| recall of well | 0.750 |\n| recall of a\\|b | 0.250 |" in text
    assert "recall of c" not in text  # nobody of that class: there is none


def test_it_tells_what_becomes_of_a_value_before_the_model_sees_it(card):
    study, _ = card
    document = json.loads(study.document)
    chol = {"name": "chol", "low": 0, "high": 700, "centre": 220, "spread": 60, "outside": "clip"}
    kinds = {"name": "cp", "kind": "category", "categories": ["a", "b"], "outside": "ignore"}
    scan = {"name": "scan", "kind": "array", "shape": [1, 8, 8], "other_sizes": "resize"}
    document["data"]["columns"] = [chol, kinds, scan]
    document["data"]["target"] |= {"classes": [["0"], ["1", "2"]], "names": ["well", "ill"]}
    document["training"] |= {"optimiser": "momentum", "momentum": 0.5, "seed": 7}
    study.document = json.dumps(document)
    text = model_card(study, models.latest(study))
    for told in (
        "| 0 to 700; centre 220, spread 60; others clipped to these |",
        "| a, b; others as none of these |",
        "| 1 × 8 × 8 numbers, 0 to 255; other sizes scaled to this |",
        "classes well (0), ill (1, 2)",
        "momentum (0.5), learning rate",
        "Loss: cross-entropy; it began from seed 7, its output layer from zero",
    ):
        assert told in text


def test_it_tells_of_windows(card):
    study, text = card
    assert "window" not in text
    document = json.loads(study.document)
    windows = {"length": 24, "horizon": 1, "ahead": 3, "order": ["day"], "series_column": "ward"}
    unit = {"unit": "patient", "patient_column": "who", "max_rows_per_patient": 9}
    target = {"column": "y", "kind": "number", "low": 0, "high": 9}
    document["data"] |= unit | {"windows": windows, "target": target}
    study.document = json.dumps(document)
    text = model_card(study, models.latest(study))
    assert (
        "- Each row of training is a window: 24 rows ordered by day; series: ward; step: 1; "
        "predicted: 3 rows from 1 row after the last"
    ) in text
    assert "Loss: half the squared error of the scaled number" in text
