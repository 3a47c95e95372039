"""A ledger as it is, its bundle, and somebody to judge it."""

import json

import pytest

from accounting.canonical import canonical_json
from accounting.services.hub_key import hub_key
from tests.verifier import bundles


@pytest.fixture
def auditor(tmp_path, capsys):
    return bundles.Auditor(tmp_path, capsys)


_BUILT: list[str] = []


@pytest.fixture
def honest(db):
    """20 entries: two budgets, two plans, three rounds at two houses. Built once."""
    if not _BUILT:
        bundles.played()
        _BUILT.append(json.dumps(bundles.whole()))
    return json.loads(_BUILT[0])


@pytest.fixture
def judge(tmp_path, capsys, settings):
    """What the verifier says of a report, against everything that the ledger holds."""
    settings.HUB_KEY_FILE = tmp_path / "hub.key"
    auditor, report = bundles.Auditor(tmp_path, capsys), tmp_path / "report.json"

    def judged(document: dict) -> tuple[int, str]:
        bundles.issue()
        report.write_text(canonical_json(document))
        return auditor.run(bundles.whole(), "--key", hub_key().public, "--report", str(report))

    return judged
