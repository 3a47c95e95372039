"""A report with its entries, judged by the stand-alone verifier, which trusts nobody."""

import json

import pytest

from accounting.canonical import canonical_json, sha256
from accounting.reports import seals
from accounting.reports.scopes import Scope
from accounting.reports.trail import entries
from accounting.services import checkpoints, reports
from accounting.services.hub_key import hub_key
from accounting.verifier import cloister_verify
from tests.accounting import builders as b
from tests.accounting import in_memory
from tests.accounting.world import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("officer_can_sign")]


@pytest.fixture
def world(world):
    b.lend("zurich", "brains")
    return world


def bundled(row, scope) -> dict:
    checkpoints.issue()
    about = {"kind": "report", **scope.parameters}
    return in_memory.document(entries(scope), scope=about, report=seals.bundled(row))


def judged(document: dict, tmp_path, capsys) -> tuple[int, str]:
    file = tmp_path / "bundle.json"
    file.write_text(canonical_json(document))
    code = cloister_verify.main([str(file), "--key", hub_key().public])
    return code, capsys.readouterr().out


@pytest.mark.parametrize(
    "scope",
    [
        Scope("heart"),
        Scope("heart", "zurich"),
        Scope(institution="cleveland"),
        Scope(institution="cleveland", lineage="heart"),
        Scope(institution="cleveland", unit="patient", since=reports.timezone.now().date()),
        Scope(),
    ],
    ids=lambda scope: scope.text or "everything",
)
def test_a_stranger_verifies_a_signed_report(scope, world, tmp_path, capsys):
    row = reports.issue(scope, world.officer)
    reports.sign(row, by=world.officer, meaning="approved", password=PASSWORD)
    code, said = judged(bundled(row, scope), tmp_path, capsys)
    assert code == 0, said
    assert "Olga" in said


def spoiled(document: dict, spoil) -> dict:
    report = json.loads(document["report"]["text"])
    spoil(report)
    text = canonical_json(report)
    signatures = document["report"]["signatures"]
    seal = seals.over_report(hub_key(), sha256(text.encode()))
    hub = signatures[0] | {"text": sha256(text.encode()), "signature": seal.signature}
    forged = {"text": text, "sha256": sha256(text.encode()), "signatures": [hub]}
    return document | {"report": forged}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: r["mechanisms"].pop(),
        lambda r: r["mechanisms"][0].update(noise_multiplier="9.0"),
        lambda r: r["parameters"]["institutions"][0]["spent"].update(epsilon="0.1", shown="0.1"),
        lambda r: r["parameters"]["institutions"][0]["spent"].update(shown="0.700"),
        lambda r: r["releases"]["released"][0].update(sha256="e" * 64),
    ],
)
def test_even_the_hub_cannot_sign_a_report_that_its_ledger_denies(spoil, world, tmp_path, capsys):
    row = reports.issue(Scope("heart"), world.officer, second_opinion=False)
    document = bundled(row, Scope("heart"))
    assert judged(document, tmp_path, capsys)[0] == 0
    code, said = judged(spoiled(document, spoil), tmp_path, capsys)
    assert code == 1, said


def test_a_signature_of_another_report_is_found(world, tmp_path, capsys):
    one = reports.issue(Scope("heart"), world.officer, second_opinion=False)
    reports.sign(one, by=world.officer, meaning="approved", password=PASSWORD)
    document = bundled(one, Scope("heart"))
    two = reports.issue(Scope("heart"), world.officer, second_opinion=False)
    mixed = seals.bundled(two) | {"signatures": seals.bundled(one)["signatures"]}
    assert judged(document | {"report": mixed}, tmp_path, capsys)[0] == 1
