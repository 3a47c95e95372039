"""One small study of three hospitals, its fake sites, and an engine without torch's cost."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.cache import cache
from django.db import connections
from django.utils import timezone

from accounting.models import Entry
from accounting.services import budgets
from config.celery import app
from federation.protocol.document import Protocol
from federation.protocol.keys import SigningKey
from federation.services import advancing, witnessing
from studies.models import Institution, Person, Role, Study
from studies.services import institutions, participations, people, studies
from tests.federation.bookkeeping import Bookkeeper
from tests.federation.sites import Site

SLUGS = ("budapest", "cleveland", "zurich")
DOCUMENT: dict[str, Any] = {
    "name": "Heart",
    "data": {
        "columns": [{"name": "age", "low": 20, "high": 90}, {"name": "bp", "low": 60, "high": 220}],
        "target": {"column": "sick", "classes": [["0"], ["1"]]},
    },
    "model": {"architecture": "logistic"},
    "training": {"sample_rate": 0.5, "local_steps": 4, "learning_rate": 1.0, "max_grad_norm": 0.5},
    "privacy": {"noise_multiplier": 4.0, "target_delta": 1e-3},
    "rounds": {"count": 2, "deadline_seconds": 60},
    "evaluation": {"every": 2, "holdout": 0.2, "bins": 3, "noise_multiplier": 5.0},
    "cohort": [{"institution": slug, "cohort_size": 100} for slug in SLUGS],
}


@pytest.fixture(autouse=True)
def _quiet_surroundings(settings, tmp_path: Path, transactional_db) -> Iterator[None]:
    """Channels and cache in memory, files in a folder of the test's own, no broker."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    settings.ROOT_URLCONF = "tests.federation.urls"
    settings.BLOBS = tmp_path / "blobs"
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.HUB_KEY_FILE = tmp_path / "hub.key"
    cache.clear()
    app.set_current()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.conf, "broker_url", "memory://")
        yield


@pytest.fixture
def lead() -> Person:
    person = Person.objects.create(username="ada", first_name="Ada")
    people.grant(person, Role.STUDY_LEAD)
    return person


@pytest.fixture
def sites(lead) -> dict[str, Site]:
    return {slug: enrolled(slug, lead) for slug in SLUGS}


def enrolled(slug: str, by: Person, epsilon: str = "50") -> Site:
    """A registered institution whose site has its key and lends one dataset."""
    key = SigningKey.generate()
    institution = institutions.register(name=slug.title(), slug=slug, by=by)
    Institution.objects.filter(pk=institution.pk).update(
        site_key=key.public, enrolled_at=timezone.now()
    )
    institution.refresh_from_db()
    dataset = {"name": "heart", "lineage": "heart-1988", "epsilon": epsilon, "delta": "1e-3"}
    budgets.declare(institution, [dataset])
    institutions.receive_offer(institution, {"datasets": [dataset]})
    return Site(institution, key)


@pytest.fixture
def start(sites, lead) -> Callable[..., Study]:
    """start(section={...}): a running study with that variation of DOCUMENT."""

    def started(**sections: Any) -> Study:
        study = studies.create(protocol=Protocol.model_validate(varied(sections)), by=lead)
        studies.submit(study, by=lead)
        approve(study, lead)
        return studies.start(study, by=lead)

    return started


def varied(sections: dict[str, Any]) -> dict[str, Any]:
    document = dict(DOCUMENT)
    for name, section in sections.items():
        changed = isinstance(section, dict)
        document[name] = {**document.get(name, {}), **section} if changed else section
    return document


def approve(study: Study, by: Person) -> None:
    for part in study.participations.all():
        participations.approve(part, by=by, dataset="heart", protocol_digest=study.protocol_digest)


@pytest.fixture
def study(start) -> Study:
    """A running study, its first round open."""
    made = start()
    advance(made)
    return made


@pytest.fixture
def keepers(sites, tmp_path: Path, monkeypatch) -> dict[str, Bookkeeper]:
    """The same sites, keeping books; each checkpoint shows the newest row, none is reused."""
    monkeypatch.setattr(witnessing, "FRESH", timedelta(0))
    return {slug: Bookkeeper.of(site, tmp_path) for slug, site in sites.items()}


@pytest.fixture
def zurich(keepers, study) -> Bookkeeper:
    """One of them, its first assignment waiting."""
    return keepers["zurich"]


def advance(study: Study, *, later: float = 0) -> Study:
    """Let the engine make its progress, `later` seconds from now; returns the fresh row."""
    advancing.advance(study.pk, now=lambda: timezone.now() + timedelta(seconds=later))
    study.refresh_from_db()
    return study


async def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run `work` in a thread, for asynchronous tests; no connection stays open in it."""

    def closing() -> Any:
        try:
            return work(*arguments)
        finally:
            connections.close_all()

    return await sync_to_async(closing)()


def kinds(study: Study, site: Site | str, number: int = 1, attempt: int = 1, phase: str = "train"):
    """What the ledger says about one key, in order."""
    rows = Entry.objects.filter(
        study=study.slug,
        institution=getattr(site, "slug", site),
        round=number,
        attempt=attempt,
        phase=phase,
    )
    return [row.kind for row in rows.order_by("sequence")]
