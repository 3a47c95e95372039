"""Building the ε report: twelve sections (ACCOUNTING section 8) from the ledger and the protocol.

The document holds no clock: the same ledger gives the same bytes, so the JSON, CSV and PDF of one
state carry the same SHA-256.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accounting.canonical import canonical_json, sha256
from accounting.reports import incidents, integrity, parameters, trail, utility, wording
from accounting.selectors import shown
from federation.protocol.document import Protocol
from studies.models import Institution, Study

SCHEMA = "cloister-privacy-report/1"


@dataclass(frozen=True)
class Report:
    """`text` is the canonical JSON; `digest` its SHA-256, carried by every rendering."""

    document: dict[str, Any]
    text: str
    digest: str


def build(study: Study, institution: Institution | None = None) -> Report:
    """The report of a whole study, or of one institution's part in it."""
    document = report(study, institution)
    text = canonical_json(document)
    return Report(document, text, sha256(text.encode()))


def report(study: Study, institution: Institution | None = None) -> dict[str, Any]:
    """The document: one key per section, numbers that matter as decimal strings."""
    scope = None if institution is None else [institution.slug]
    found = trail.read(study.slug, scope)
    protocol = Protocol.model_validate_json(study.document)
    names = _names(study, found, scope)
    spent = parameters.section(protocol, found, names, lifetime=institution is not None)
    return {
        "report": _identity(study, found, institution),
        "statement": parameters.statements(protocol, spent),
        "parameters": spent,
        "accounting": parameters.accounting(found, spent),
        "mechanisms": [_mechanism(deed) for deed in found.deeds],
        "releases": _releases(found),
        "trust_model": {
            "how_it_ran": wording.SITE_NOISE,
            "assumptions": list(wording.ASSUMPTIONS),
            "secure_aggregation": "not used",
        },
        "incidents": incidents.section(study, found, institution),
        "audit": {
            "method": "not run",
            "meaning": "no empirical lower bound was measured for this study",
        },
        "utility": utility.section(study),
        "integrity": integrity.section(found),
        "limits": list(wording.LIMITS),
        "events": {slug: [e.to_json() for e in found.events(slug)] for slug in names},
    }


def _identity(study: Study, found: trail.Trail, institution: Institution | None) -> dict[str, Any]:
    where = institution.slug if institution else "all institutions"
    return {
        "id": f"{study.slug}/{institution.slug if institution else 'all'}/{found.size}",
        "schema": SCHEMA,
        "software": integrity.software(),
        "study": {"slug": study.slug, "name": study.name, "status": study.status},
        "scope": where,
        "protocol_digest": study.protocol_digest,
        "period": {
            "from": found.first["at"] if found.first else "nothing is in the ledger yet",
            "to": found.last["at"] if found.last else "nothing is in the ledger yet",
        },
        "supersedes": "any earlier report of the same scope with fewer entries",
        "signers": "none: the report is bound to the ledger by digest, not signed",
    }


def _names(study: Study, found: trail.Trail, scope: Sequence[str] | None) -> dict[str, str]:
    """slug → name of the institutions in scope, invited ones first, in order of name."""
    invited = Institution.objects.filter(participations__study=study).order_by("name")
    names = {row.slug: row.name for row in invited if scope is None or row.slug in scope}
    return names | {slug: slug for slug in found.institutions() if slug not in names}


def _mechanism(deed: trail.Deed) -> dict[str, Any]:
    body = deed.reserved
    return {
        "entry": body["sequence"],
        "at": body["at"],
        "institution": body["institution"],
        "lineage": body["lineage"],
        "round": body["round"],
        "attempt": body["attempt"],
        "phase": body["phase"],
        **body["event"],
        "state": deed.state,
        "counted": deed.counted,
        "sealed": body["sealed"],
        "epsilon_after": body["figure"]["epsilon"],
        "shown_after": shown.up(float(body["figure"]["epsilon"])),
        "delta": body["figure"]["delta"],
        "accountant": body["figure"]["accountant"],
    }


def _releases(found: trail.Trail) -> dict[str, Any]:
    left = [deed.rows for deed in found.deeds if "released" in deed.rows]
    return {
        "released": [_release(rows) for rows in left],
        "unprotected": list(wording.UNPROTECTED),
        "not_private": "none: every number that left was noised and charged",
    }


def _release(rows: dict[str, trail.Body]) -> dict[str, Any]:
    released, reserved = rows["released"], rows["reserved"]
    return {
        "entry": released["sequence"],
        "at": released["at"],
        "institution": released["institution"],
        "round": released["round"],
        "phase": released["phase"],
        "sha256": released["tensors_digest"],
        "became_part_of": rows.get("acknowledged", {}).get("model_digest", "no model"),
        "epsilon_after": reserved["figure"]["epsilon"],
    }
