"""Messages are closed: every field has one form, and nothing else is taken."""

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.dp.events import PrivacyEvent
from federation.protocol.canonical import digest
from federation.protocol.messages import (
    ApprovedProtocol,
    Assignment,
    Contribution,
    Message,
    MessageError,
    Offer,
    Reason,
    Refusal,
    moment,
    timestamp,
)
from tests.protocol import samples

MESSAGES = [
    samples.assignment(),
    samples.contribution(),
    samples.refusal(),
    samples.offer(),
    samples.approved(),
    samples.statement(),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.type)
def test_json_and_back(message: Message) -> None:
    assert type(message).from_json(message.to_json()) == message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.type)
def test_no_key_may_be_missing_or_added(message: Message) -> None:
    document = message.to_json()
    with pytest.raises(MessageError, match=r"unknown keys \(budget\)"):
        type(message).from_json(document | {"budget": 10})
    for name in document:
        with pytest.raises(MessageError):
            type(message).from_json({k: v for k, v in document.items() if k != name})


STRANGE = (None, 1.5, -1, True, "", "a b", "é", [], {}, ["x"], b"x", "x" * 300)
FITTING = {
    *(("parameters", "{}"), ("datasets", "[]"), ("accessed", "True")),
    *(("software", "''"), ("software", "'a b'"), ("software", "'é'")),
    *((name, text) for name in ("dataset", "lineage", "approved_by") for text in ("'a b'", "'é'")),
}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.type)
@pytest.mark.parametrize("value", STRANGE, ids=repr)
def test_no_field_takes_a_value_of_another_form(message: Message, value: Any) -> None:
    """Each of these values fits few fields; where it does not fit, the error names the field."""
    document = message.to_json()
    for name in document:
        if (name, repr(value)) in FITTING:
            assert type(message).from_json(document | {name: value}).to_json()[name] == value
        else:
            with pytest.raises(MessageError, match=name):
                type(message).from_json(document | {name: value})


def test_another_type_or_version_is_refused() -> None:
    document = samples.refusal().to_json()
    with pytest.raises(MessageError, match="type 'contribution'"):
        Contribution.from_json(document)
    with pytest.raises(MessageError, match="version 1"):
        Refusal.from_json(document | {"version": 2})
    for nothing in (None, [], "refusal", 3):
        with pytest.raises(MessageError, match="JSON object"):
            Refusal.from_json(nothing)


def test_a_refusal_names_the_charge_where_something_was_charged() -> None:
    charge = {"sequence": 7, "digest": samples.DIGEST}
    refusal = samples.refusal(accessed=True, charge=charge)
    assert Refusal.from_json(refusal.to_json()) == refusal
    assert "charge" not in samples.refusal().to_json()
    with pytest.raises(MessageError, match="accessed must be true"):
        samples.refusal(accessed=False, charge=charge)
    for wrong in ({"sequence": 7}, charge | {"digest": ""}, "7", None):
        with pytest.raises(MessageError, match="charge"):
            Refusal.from_json(refusal.to_json() | {"charge": wrong})


def test_reasons_are_a_closed_list() -> None:
    for reason in Reason:
        assert Refusal.from_json(samples.refusal(reason=reason).to_json()).reason is reason
    with pytest.raises(MessageError, match="one of: not_addressed, "):
        Refusal.from_json(samples.refusal().to_json() | {"reason": "42 rows were missing"})
    with pytest.raises(MessageError, match="reason must be one of"):
        samples.refusal(reason="clock")


@pytest.mark.parametrize(
    "value", [0.1, {"q": 0.1}, {"q": [float("nan")]}, {"n": 2**53}, {1: "x"}, {"x": b"y"}, [1]]
)
def test_parameters_carry_no_floats(value: Any) -> None:
    with pytest.raises(MessageError, match="parameters"):
        samples.assignment(parameters=value)


def test_parameters_have_a_depth() -> None:
    deep: Any = "x"
    for _ in range(9):
        deep = {"x": deep}
    with pytest.raises(MessageError, match="too deeply"):
        samples.assignment(parameters=deep)


def test_an_assignment_lives_after_it_was_issued() -> None:
    with pytest.raises(MessageError, match="expires_at must be after issued_at"):
        samples.assignment(expires_at=timestamp(samples.NOW))


@pytest.mark.parametrize(
    "change",
    [
        {"noise_multiplier": "NaN"},
        {"noise_multiplier": "1.10"},
        {"mechanism": "laplace"},
        {"steps": 0},
        {"epsilon": "0.1"},
    ],
)
def test_events_are_exactly_as_written_by_accounting(change: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match="events"):
        samples.contribution(events=(samples.EVENT.to_json() | change,))


def test_events_come_back_as_objects() -> None:
    (event,) = samples.contribution().events
    assert PrivacyEvent.from_json(event) == samples.EVENT
    with pytest.raises(MessageError, match="at least one"):
        samples.contribution(events=())


@pytest.mark.parametrize(
    "journal",
    [
        {},
        {"sequence": 1},
        {"sequence": -1, "digest": samples.DIGEST},
        {"sequence": 1, "digest": "x"},
    ],
)
def test_the_journal_is_a_sequence_and_a_digest(journal: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match="journal"):
        samples.contribution(journal=journal)


@pytest.mark.parametrize(
    "change",
    [
        {"epsilon": 3.0},
        {"epsilon": "inf"},
        {"epsilon": "NaN"},
        {"epsilon": "-1"},
        {"epsilon": "three"},
        {"epsilon": "1" * 65},
        {"delta": "1"},
        {"delta": "0"},
        {"name": ""},
        {"name": "two\nlines"},
        {"rows": "303"},
    ],
)
def test_an_offer_tells_budgets_as_decimal_text_and_nothing_else(change: dict[str, Any]) -> None:
    dataset = samples.offer().datasets[0] | change
    with pytest.raises(MessageError, match="datasets"):
        samples.offer(datasets=[dataset])


def test_an_offer_names_a_dataset_once() -> None:
    with pytest.raises(MessageError, match="twice"):
        samples.offer(datasets=samples.offer().datasets * 2)


def test_an_approved_protocol_is_bound_to_its_digest() -> None:
    message = samples.approved()
    assert message.protocol == samples.protocol()
    with pytest.raises(MessageError, match="not the SHA-256"):
        samples.approved(document=message.document.replace("10", "11", 1))


def test_an_approved_protocol_must_be_a_canonical_protocol() -> None:
    text = '{"anything":1}'
    with pytest.raises(MessageError, match="not a protocol"):
        _ = _approved(text).protocol
    spaced = samples.protocol().model_dump_json(indent=1)
    with pytest.raises(MessageError, match="canonical form"):
        _ = _approved(spaced).protocol


def _approved(text: str) -> ApprovedProtocol:
    return samples.approved(document=text, protocol_digest=digest(text.encode()))


def test_messages_are_frozen() -> None:
    message: Assignment = samples.assignment()
    with pytest.raises(FrozenInstanceError):
        message.round = 4  # type: ignore[misc]


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_come_back(at: datetime) -> None:
    assert moment(timestamp(at)) == at


def test_times_are_utc() -> None:
    east = samples.NOW.astimezone(timezone(timedelta(hours=2)))
    assert timestamp(east) == timestamp(samples.NOW) == "2026-01-31T12:00:00Z"
    with pytest.raises(ValueError, match="time zone"):
        timestamp(samples.NOW.replace(tzinfo=None))
    for text in ("2026-01-31", "2026-01-31T12:00:00+00:00", "2026-13-31T12:00:00Z", "now", ""):
        with pytest.raises(MessageError, match="UTC time"):
            moment(text)


def test_an_empty_offer_is_an_offer() -> None:
    assert Offer.from_json(samples.offer(datasets=[]).to_json()).datasets == []
