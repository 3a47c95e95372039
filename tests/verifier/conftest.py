"""A ledger as it is, its bundle, and somebody to judge it."""

import json

import pytest

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
