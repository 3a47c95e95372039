"""A small audited study of real sites: their executors, journals and files, in this process."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from django.test import Client
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from accounting.services.hub_key import hub_key
from federation.learning import training
from federation.site.assembly import Site, assemble
from federation.site.folder import Folder
from federation.site.pin import Pin
from federation.site.worker import play
from studies.models import Study
from tests.federation.conftest import SLUGS, advance

FEATURES, ROWS, CANARIES = 600, 60, 60
CONFIG = """
[[dataset]]
name = "heart"
file = "heart.csv"
lineage = "heart-1988"
lifetime_epsilon = 50.0
lifetime_delta = 1e-3
"""
SECTIONS: dict[str, Any] = {
    "data": {
        "columns": [{"name": f"x{n}", "low": -1, "high": 1} for n in range(FEATURES)],
        "target": {"column": "sick", "classes": [["0"], ["1"]]},
    },
    "training": {"sample_rate": 0.5, "local_steps": 4, "learning_rate": 0.5, "max_grad_norm": 0.5},
    "privacy": {"target_epsilon": 0.5, "noise_multiplier": None, "target_delta": 1e-5},
    "rounds": {"count": 3, "deadline_seconds": 60},
    "evaluation": {"every": 0, "holdout": 0.0},
    "audit": {"canaries": CANARIES},
    "cohort": [{"institution": slug, "cohort_size": ROWS} for slug in SLUGS],
}


class Inside(BaseAdapter):
    """Carries requests of the real client to the hub's views, without a socket."""

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        body = request.body or b""
        answer = Client().generic(
            request.method,
            request.path_url,
            body,
            content_type="application/octet-stream",
            headers=dict(request.headers),
        )
        made = requests.Response()
        made.status_code, made.request, made.url = answer.status_code, request, request.url
        made.headers.update(answer.headers)
        made.raw = HTTPResponse(io.BytesIO(answer.content), preload_content=False)
        return made

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def real_sites(sites: dict[str, Any], tmp_path: Path) -> Iterator[dict[str, Site]]:
    """One enrolled folder with wide rows for each institution, and its executor."""
    made = {
        slug: _site(tmp_path / slug, fake.key, slug, n)
        for n, (slug, fake) in enumerate(sites.items())
    }
    yield made
    for site in made.values():
        site.close()


def _site(path: Path, key: Any, slug: str, seed: int) -> Site:
    folder = Folder(path)
    folder.create()
    key.save(folder.key)
    folder.config.write_text(CONFIG)
    (path / "heart.csv").write_text(rows(seed))
    Pin("http://testserver", slug, slug, hub_key().public).write(folder)
    site = assemble(folder)
    site.client._session.mount("http://", Inside())
    return site


def rows(seed: int) -> str:
    """Rows of a linear problem that all sites share, each site with its own."""
    direction = np.random.default_rng(99).normal(size=FEATURES)
    random = np.random.default_rng(seed)
    x = np.clip(random.normal(size=(ROWS, FEATURES)) * 0.4, -1, 1)
    lines = [",".join([f"x{n}" for n in range(FEATURES)] + ["sick"])]
    for values in x:
        lines.append(",".join([f"{v:.4f}" for v in values] + [str(int(values @ direction > 0))]))
    return "\n".join(lines) + "\n"


def work(site: Site) -> str:
    """Answer what waits for this site; the phase, '' where nothing waits."""
    found = site.parts.receiving.assignment(0, site.parts.witness.size)
    if found is None:
        return ""
    assert play(site, found.envelope, found.ledger)
    return json.loads(json.loads(found.envelope)["message"])["phase"]


def run(study: Study, sites: dict[str, Site], *, until: str = "") -> Study:
    """Let everybody work until nothing waits, or until phase `until` is open."""
    while study.status == "running":
        round_ = study.rounds.order_by("-id").first()
        if until and round_ and round_.status == "open" and round_.phase == until:
            return study
        for site in sites.values():
            work(site)
        advance(study)
    return study


@contextmanager
def noise_over_the_batch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The gross bug of ACCOUNTING 9: the noise is divided by the batch size once too often."""
    step = training.Session.step

    def less(self: training.Session) -> None:
        right = self.noise_multiplier
        self.noise_multiplier = right / self.batch_denominator
        step(self)
        self.noise_multiplier = right

    with monkeypatch.context() as patch:
        patch.setattr(training.Session, "step", less)
        yield
