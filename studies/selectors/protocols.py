"""The protocol documents behind studies and approvals, read back from their canonical text."""

from functools import lru_cache

from federation.protocol import diff
from federation.protocol.document import Protocol
from studies.models import Participation, Revision, Study


def protocol_of(study: Study) -> Protocol:
    """The study's current protocol."""
    return read(study.document)


@lru_cache(maxsize=256)
def read(document: str) -> Protocol:
    """Parse a stored document; documents never change, so the answer may be kept."""
    return Protocol.model_validate_json(document)


def changes_between(older: Revision, newer: Revision) -> list[diff.Change]:
    """Field by field, what `newer` says otherwise than `older`."""
    return diff.differences(read(older.document), read(newer.document))


def changes_since_decision(participation: Participation) -> list[diff.Change]:
    """What changed since this institution last decided; nothing if it decided on the current."""
    study = participation.study
    decision = participation.approvals.order_by("-id").first()
    if decision is None or decision.protocol_digest == study.protocol_digest:
        return []
    decided = study.revisions.filter(protocol_digest=decision.protocol_digest)
    older, newer = decided.order_by("-number").first(), study.revisions.order_by("-number").first()
    return changes_between(older, newer) if older and newer else []
