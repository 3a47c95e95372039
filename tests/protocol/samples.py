"""Protocols, keys and messages that the tests of this folder share."""

from datetime import UTC, datetime, timedelta
from typing import Any

from accounting.dp.events import Mechanism, PrivacyEvent
from federation.protocol.canonical import canonical_json
from federation.protocol.document import DataContract, Protocol
from federation.protocol.journal_rows import GENESIS, sealed
from federation.protocol.keys import SigningKey
from federation.protocol.messages import (
    ApprovedProtocol,
    Assignment,
    Contribution,
    Offer,
    Reason,
    Refusal,
    Statement,
    timestamp,
)
from federation.protocol.study_file import example, parse

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
DIGEST = "ab" * 32
KEY = SigningKey.generate()
OTHER = SigningKey.generate()
SECRET = b"a site's secret key, 32 bytes..."
EVENT = PrivacyEvent(Mechanism.POISSON_GAUSSIAN, 1.1, 0.064, 16, max_grad_norm=0.5)


def protocol() -> Protocol:
    """The protocol of the example study."""
    return parse(example()).protocol


def contract(**changes: Any) -> DataContract:
    """Age (bounds), chol (centre and spread, indicator), cp (categories); target num."""
    document: dict[str, Any] = {
        "columns": [
            {"name": "age", "low": 0, "high": 100},
            {
                "name": "chol",
                "low": 0,
                "high": 700,
                "centre": 200,
                "spread": 50,
                "missing": "indicator",
            },
            {"name": "cp", "kind": "category", "categories": [1, 2, "x"], "missing": "category"},
        ],
        "target": {"column": "num", "classes": [[0], [1, 2]]},
    }
    return DataContract.model_validate(document | changes)


def patients(cap: int, **changes: Any) -> DataContract:
    """The same contract with patients of at most `cap` rows."""
    return contract(unit="patient", patient_column="who", max_rows_per_patient=cap, **changes)


_PLACE: dict[str, Any] = {
    "assignment": "0f" * 16,
    "study": "heart",
    "round": 3,
    "attempt": 1,
    "phase": "train",
}


def assignment(**changes: Any) -> Assignment:
    """One assignment to Cleveland."""
    fields: dict[str, Any] = _PLACE | {
        "addressee": "cleveland",
        "issued_at": timestamp(NOW),
        "expires_at": timestamp(NOW + timedelta(minutes=10)),
        "protocol_digest": DIGEST,
        "model_digest": DIGEST,
        "parameters": {"deadline": "600"},
    }
    return Assignment(**fields | changes)


def contribution(**changes: Any) -> Contribution:
    """Cleveland's answer."""
    fields: dict[str, Any] = _PLACE | {
        "site": "cleveland",
        "protocol_digest": DIGEST,
        "model_digest": DIGEST,
        "tensors_digest": DIGEST,
        "events": (EVENT.to_json(),),
        "journal": {"sequence": 4, "digest": DIGEST},
        "answered_at": timestamp(NOW),
    }
    return Contribution(**fields | changes)


def refusal(**changes: Any) -> Refusal:
    """Cleveland declines."""
    fields: dict[str, Any] = _PLACE | {
        "site": "cleveland",
        "reason": Reason.LIMIT_EPSILON,
        "accessed": False,
        "answered_at": timestamp(NOW),
    }
    return Refusal(**fields | changes)


def offer(**changes: Any) -> Offer:
    """Cleveland lends one dataset."""
    fields: dict[str, Any] = {
        "site": "cleveland",
        "datasets": [{"name": "heart", "lineage": "heart", "epsilon": "3.0", "delta": "0.001"}],
        "software": "cloister 0.1.0",
        "offered_at": timestamp(NOW),
    }
    return Offer(**fields | changes)


def approved(**changes: Any) -> ApprovedProtocol:
    """The example's protocol, approved by Cleveland."""
    fields: dict[str, Any] = {
        "protocol_digest": protocol().digest,
        "document": protocol().canonical().decode(),
        "study": "heart",
        "institution": "cleveland",
        "dataset": "heart",
        "lineage": "heart",
        "approved_by": "Ada Admin",
        "approved_at": timestamp(NOW),
    }
    return ApprovedProtocol(**fields | changes)


def row(number: int = 1, previous: str = GENESIS, **changes: Any) -> dict[str, Any]:
    """One row of Cleveland's journal: the charge of one round."""
    fields: dict[str, Any] = _PLACE | {
        "sequence": number,
        "at": "2026-01-31T12:00:00+00:00",
        "kind": "charged",
        "round": number,
        "assignment": f"a{number}",
        "message_digest": DIGEST,
        "lineage": "heart",
        "protocol_digest": DIGEST,
        "event": canonical_json(EVENT.to_json()).decode(),
        "tensors_digest": "",
        "reason": "",
        "previous_digest": previous,
    }
    changed = fields | changes
    return changed | {"digest": sealed(changed)}


def rows(count: int = 2) -> list[dict[str, Any]]:
    """The first rows of Cleveland's journal, chained."""
    found: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        found.append(row(number, found[-1]["digest"] if found else GENESIS))
    return found


def statement(**changes: Any) -> Statement:
    """Cleveland tells its whole journal of two rows."""
    entries = changes.pop("entries", rows())
    end = entries[-1] if entries else {"sequence": 0, "digest": GENESIS}
    fields: dict[str, Any] = {
        "site": "cleveland",
        "first": 1,
        "entries": entries,
        "journal": {"sequence": end["sequence"], "digest": end["digest"]},
        "checkpoint": {"size": 5, "root": DIGEST},
        "stated_at": timestamp(NOW),
    }
    return Statement(**fields | changes)
