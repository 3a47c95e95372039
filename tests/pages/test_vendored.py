"""Vendored files carry their version and licence, and nothing is loaded from elsewhere."""

import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders

STATIC = settings.BASE_DIR / "static"
FOLDERS = sorted(path for path in (STATIC / "vendor").iterdir() if path.is_dir())
OWN = sorted([*(STATIC / "js").glob("*.js"), *(STATIC / "css").glob("*.css")])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_each_has_a_version_and_a_licence(folder):
    assert re.search(r"\d+\.\d+\.\d+", (folder / "VERSION").read_text())
    assert len((folder / "LICENSE").read_text()) > 300


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_no_source_map_is_asked_for(folder):
    for path in (*folder.glob("*.css"), *folder.glob("*.js")):
        assert "sourceMappingURL" not in path.read_text()


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_our_own_scripts_stay_small_and_stay_here(path):
    text = path.read_text()
    assert "http://" not in text
    assert "https://" not in text
    if path.suffix == ".js":
        assert text.startswith("//")
        assert len(text.splitlines()) <= 120


def test_htmx_injects_no_style_and_evaluates_nothing():
    base = (settings.BASE_DIR / "templates/base.html").read_text()
    config = json.loads(re.search(r"name=\"htmx-config\" content='([^']+)'", base)[1])
    assert config["includeIndicatorStyles"] is False
    assert config["allowEval"] is False


def test_plotly_still_asks_for_the_ids_that_keep_it_within_the_policy():
    """See templates/parts/chart_scripts.html: a new Plotly may ask for others."""
    text = Path(finders.find("vendor/plotly/plotly.min.js")).read_text(encoding="utf-8")
    part = (settings.BASE_DIR / "templates/parts/chart_scripts.html").read_text()
    styles = set(re.findall(r'getElementById\("([0-9a-f]{64})"\)', text))
    assert styles == set(re.findall(r'id="([0-9a-f]{64})"', part))
    assert '"plotly.js-style-"' in text
    assert 'id="plotly.js-style-global"' in part
