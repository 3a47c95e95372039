"""The audit in protocol, file and messages: absent it changes nothing, present it is exact."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol import audit, diff, study_file
from federation.protocol.audit import COMMIT, REVEAL, Coins, FalseCoins, Public
from federation.protocol.document import Audit, Protocol
from federation.protocol.messages import Contribution, MessageError, open_envelope, sign
from tests.protocol import samples

DEMO = Path(__file__).parents[2] / "demo" / "heart_disease" / "study.toml"
# Of both files as they were before protocols could ask for an audit.
BEFORE = {
    "example": "935d28a3c5ad0b8b96c04f0a2a65f8baef031c818cf7c2b5433e2ace93bceef9",
    "demo": "5b922dc4469de4bd0d4aa0465bff951fd7f43bab98956b8b9546dee0167276c1",
}
AUDITED = study_file.example().replace("# canaries", "canaries")


@pytest.mark.parametrize("name", BEFORE)
def test_a_protocol_without_audit_keeps_its_digest(name):
    text = {"example": study_file.example(), "demo": DEMO.read_text()}[name]
    agreed = study_file.parse(text).protocol
    training = agreed.training.model_copy(update={"engine": "opacus"})  # the only one there was
    assert agreed.model_copy(update={"training": training}).digest == BEFORE[name]
    assert b"audit" not in agreed.canonical()
    assert agreed.canaries == 0


def test_an_audit_is_part_of_what_is_approved():
    agreed = study_file.parse(AUDITED).protocol
    assert agreed.audit == Audit(canaries=100)
    assert b'"audit":{"canaries":100}' in agreed.canonical()
    assert Protocol.model_validate_json(agreed.canonical()) == agreed
    assert agreed.digest != BEFORE["example"]


def test_it_is_written_and_read_back():
    agreed = study_file.parse(AUDITED).protocol
    text = study_file.write(agreed)
    assert "[audit]\ncanaries = 100" in text
    assert study_file.parse(text).protocol == agreed
    assert "[audit]" not in study_file.write(study_file.parse(study_file.example()).protocol)


def test_its_coming_and_going_is_one_difference():
    plain, audited = (study_file.parse(text).protocol for text in (study_file.example(), AUDITED))
    assert diff.differences(plain, audited) == [diff.Change("audit", None, {"canaries": 100})]
    assert diff.differences(audited, plain) == [diff.Change("audit", {"canaries": 100}, None)]
    more = audited.model_copy(update={"audit": Audit(canaries=200)})
    assert diff.differences(audited, more) == [diff.Change("audit.canaries", 100, 200)]


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("canaries = 9", "10"),
        ("canaries = 5001", "5000"),
        ("coins = 3", "coins"),
        ("canaries = 1.5", "whole"),
    ],
)
def test_a_mistake_names_key_and_line(line, advice):
    text = study_file.example().replace("# canaries = 100", line)
    with pytest.raises(study_file.StudyFileError, match=advice) as caught:
        study_file.parse(text)
    assert caught.value.key.startswith("audit")
    assert text.splitlines()[caught.value.line - 1].startswith(line)


@given(st.text("01", min_size=1, max_size=80), st.binary(min_size=32, max_size=32))
def test_what_is_revealed_is_what_was_committed_to(flips, salt):
    coins = Coins(flips, salt)
    told = audit.coins_of(audit.revealed(coins).tensors)
    told.check(audit.commitment_of(audit.committed(coins).tensors))
    assert audit.coins_from(audit.facts_of(told)) == coins
    other = Coins(flips[:-1] + ("0" if flips[-1] == "1" else "1"), salt)
    with pytest.raises(FalseCoins, match="not those"):
        other.check(coins.commitment.hex())


def test_the_commitment_is_sha_256_of_salt_and_coins():
    """(head -c 32 /dev/zero; printf 0101) | sha256sum."""
    known = "6530a8336481e9bd12b08447863644822df5f1d71ec4b1341d7b426f9ee31fff"
    assert Coins("0101", bytes(32)).commitment.hex() == known


@pytest.mark.parametrize("wrong", [("", bytes(32)), ("012", bytes(32)), ("01", bytes(31))])
def test_coins_that_are_none(wrong):
    with pytest.raises(FalseCoins, match="text of 0 and 1"):
        Coins(*wrong)


@pytest.mark.parametrize("facts", [{}, {"coins": "01"}, {"coins": "01", "salt": "xy"}])
def test_facts_that_are_none(facts):
    with pytest.raises(FalseCoins, match=r"missing|text"):
        audit.coins_from(facts)


def test_a_coin_of_seven_is_none():
    tensors = {"coins": np.array([0, 7], np.uint8), "salt": np.zeros(32, np.uint8)}
    with pytest.raises(FalseCoins, match="neither 0 nor 1"):
        audit.coins_of(tensors)


def test_the_forms_are_fixed_to_the_byte():
    assert {k: v.nbytes for k, v in audit.shape(COMMIT, 50).items()} == {"commitment": 32}
    assert {k: v.nbytes for k, v in audit.shape(REVEAL, 50).items()} == {"coins": 50, "salt": 32}
    with pytest.raises(KeyError):
        audit.shape("train", 50)
    with pytest.raises(ValueError, match="at least one"):
        Public({})


@pytest.mark.parametrize("phase", [COMMIT, REVEAL])
def test_a_free_answer_has_no_price(phase):
    free = samples.contribution(phase=phase, events=())
    envelope = sign(free, samples.KEY)
    assert open_envelope(envelope, samples.KEY.public, Contribution) == free
    with pytest.raises(MessageError, match="no privacy event"):
        samples.contribution(phase=phase)


def test_every_other_answer_has_one():
    with pytest.raises(MessageError, match="at least one privacy event"):
        samples.contribution(phase="train", events=())
