"""A true bundle holds, whole or in part, and the verifier says what it checked and what not."""

import json

import pytest

from accounting.services import ledger
from accounting.services.checkpoints import issue
from accounting.services.hub_key import hub_key
from federation.protocol.keys import SigningKey
from tests.accounting import builders as b
from tests.accounting import moves
from tests.verifier import bundles

pytestmark = pytest.mark.django_db


def test_a_true_bundle_holds(auditor, honest):
    code, text = auditor.run(honest, "--key", hub_key().public)
    assert code == 0
    assert "The bundle holds." in text
    for check in ("canonical form", "Merkle tree", "transitions", "budgets", "every ε"):
        assert f"✓ {check}" in text
    assert "✗" not in text


def test_each_figure_is_named_with_its_delta_and_accountant(auditor, honest):
    _, text = auditor.run(honest)
    # The abortion gave a round back: what is spent now is less than the newest row says.
    assert "heart at zurich: ε in [0.5644, 0.5648] at δ = 0.001; entry 19 said 0.7008" in text
    assert text.count("(pld)") == 2


def test_a_key_from_the_bundle_itself_is_not_trusted_silently(auditor, honest):
    assert "IS TAKEN FROM THE BUNDLE ITSELF" in auditor.run(honest)[1]


def test_a_pinned_key_unmasks_another_hub(auditor, honest):
    other = SigningKey.generate().public
    assert set(auditor.wrong(honest, "--key", other)) == {"key", "checkpoints", "consistency"}


def test_a_part_holds_and_says_what_it_cannot_show(auditor, db):
    bundles.played()
    document = bundles.part()
    assert len(document["entries"]) < len(bundles.whole()["entries"])
    code, text = auditor.run(document, "--key", hub_key().public)
    assert code == 0
    assert "– budgets" in text
    assert f"{len(document['entries'])} inclusion proofs" in text


def test_every_way_to_end_and_every_way_to_judge(auditor, db):
    b.lend("cleveland", epsilon="2.0")
    b.seal(rounds=2)
    for number in (1, 2):
        b.whole_round(b.key(number=number))
    b.whole_round(b.key(number=2, attempt=2))  # not sealed: judged by the Rényi filter
    refused = b.key(number=3)
    b.reserve(refused, b.EVALUATE)
    ledger.charge(refused)
    moves.release(refused, "c" * 64)
    moves.refuse(refused, "not finite")
    given_back = b.key(number=4)
    b.reserve(given_back)
    ledger.charge(given_back)
    moves.abort(given_back, "nothing was read", evidence="e" * 64)
    b.reserve(b.key(study="lungs"))  # another study on the same data
    issue()
    document = bundles.whole()
    code, text = auditor.run(document)
    assert code == 0, text
    accountants = {
        check["accountant"]
        for row in document["entries"]
        for check in json.loads(row["body"]).get("checks", ())
    }
    assert accountants == {"rdp"}


def test_an_empty_ledger_holds(auditor, db):
    issue()
    assert auditor.run(bundles.whole())[0] == 0


def test_the_verdict_is_there_for_machines(auditor, honest):
    code, text = auditor.run(honest, "--json", "--key", hub_key().public)
    answer = json.loads(text)
    assert (code, answer["ok"], answer["code"]) == (0, True, 0)
    assert {found["state"] for found in answer["findings"]} == {"ok", "skipped"}
    assert [row["institution"] for row in answer["spent"]] == ["cleveland", "zurich"]


def test_the_download_is_the_file_in_the_source(client, db):
    officer = bundles.world.person("olga")
    assert client.get("/ledger/cloister_verify.py").status_code == 302
    client.force_login(officer)
    answer = client.get("/ledger/cloister_verify.py")
    assert answer["Content-Disposition"] == 'attachment; filename="cloister_verify.py"'
    assert answer.content.startswith(b"#!/usr/bin/env python3\n")
