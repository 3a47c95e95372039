"""Building the ε report: twelve sections (ACCOUNTING section 8) from the ledger and the protocol.

A preview holds no clock: the same ledger gives the same bytes, so the JSON, CSV and PDF of one
state carry the same SHA-256. An issued report says besides when, by whom and instead of which.
"""

from dataclasses import dataclass
from typing import Any

from accounting.canonical import canonical_json, sha256
from accounting.log.checkpoints import SignedCheckpoint
from accounting.refusals import NoBound
from accounting.reports import (
    across,
    audit,
    incidents,
    integrity,
    mechanisms,
    parameters,
    parts,
    releases,
    trail,
    trust,
    utility,
    wording,
)
from accounting.reports.parts import Material
from accounting.reports.scopes import Scope
from accounting.selectors import reconciliation, unbooked
from accounting.selectors.commitments import Unreadable
from accounting.selectors.reconciliation import State
from studies.models import Institution, Study

SCHEMA = "cloister-privacy-report/3"
PREVIEW = "a preview: not issued"
SIGNERS = "made over this document's SHA-256, so they stand beside it: who, when, what it means"


@dataclass(frozen=True)
class Report:
    """`text` is the canonical JSON; `digest` its SHA-256, carried by every rendering."""

    document: dict[str, Any]
    text: str
    digest: str


REFUSED = (Unreadable, NoBound)  # why there is no report of what the hub knows


class NoSuchStudy(LookupError):
    """The scope names a study that the hub does not know."""


def build(study: Study, institution: Institution | None = None) -> Report:
    """The preview of a whole study, or of one institution's part in it."""
    return preview(Scope(study.slug, institution.slug if institution else ""))


def preview(scope: Scope) -> Report:
    """The report of a scope as the ledger stands. Raises as `gather`."""
    return sealed(compose(gather(scope)))


def sealed(found: dict[str, Any]) -> Report:
    """A finished document with its canonical text and digest."""
    text = canonical_json(found)
    return Report(found, text, sha256(text.encode()))


def gather(scope: Scope, *, certify: bool = False) -> Material:
    """Read everything that the report is written from.

    `certify` will add the second opinion's certified interval, which imports torch: only where
    that may be, never in a web process.

    Raises:
        NoSuchStudy: the scope names a study that the hub does not know.
        NoBound: a part has no ε, so nothing can be claimed of it.
        Unreadable: somebody destroyed a row of the ledger.
    """
    material = parts.gather(scope, trail.read(scope), certify=certify)
    if scope.study and material.study is None:
        raise NoSuchStudy(f"the hub knows no study {scope.study!r}")
    _keep_bounded(material)
    return material


def _keep_bounded(material: Material) -> None:
    """What leaves out a charge that a site proves claims too little. Raises NoBound.

    A study's report is about its own charges, every other one about whole datasets.
    """
    parts = {(part.institution, part.lineage) for part in material.parts}
    houses, study = {house for house, _ in parts}, material.scope.study
    for claim, why in unbooked.left_out(houses):
        if claim.place[0] == study or (not study and claim.dataset in parts):
            raise NoBound(*claim.dataset, why)


def compose(material: Material, checkpoint: SignedCheckpoint | None = None) -> dict[str, Any]:
    """One key per section, numbers that matter as decimal strings.

    `checkpoint`, signed after `gather`, covers every entry that was read.
    """
    spent = parameters.section(material)
    statements = across.statements(material, spent["across_institutions"])
    return {
        "report": _identity(material),
        "statement": statements,
        "parameters": spent,
        "accounting": parameters.accounting(material, spent),
        "mechanisms": mechanisms.section(material),
        "releases": releases.section(material),
        "trust_model": trust.section(trust.TrustModel(statements[0]["trust_model"])),
        "incidents": incidents.section(material),
        "audit": audit.section(material),
        "utility": utility.section(material.study),
        "integrity": integrity.section(material.trail, _states(material), checkpoint),
        "limits": list(wording.LIMITS),
        "events": {part.key: [e.to_json() for e in part.events] for part in material.parts},
    }


def _states(material: Material) -> list[State]:
    """How the journals of the institutions in the report agree with the ledger."""
    taking_part = {part.institution for part in material.parts}
    houses = sorted(Institution.objects.filter(slug__in=taking_part), key=lambda row: row.name)
    if material.study:  # whoever reads a study's report may read no other study of the house
        return reconciliation.states_in(houses, material.study.slug)
    return reconciliation.states(houses)


def _identity(material: Material) -> dict[str, Any]:
    scope, found, study = material.scope, material.trail, material.study
    nothing = "nothing is in the ledger yet"
    return {
        "id": f"{scope.text or 'everything'}/preview at {found.size}",
        "schema": SCHEMA,
        "software": integrity.software(),
        "title": _title(material),
        "scope": {
            "kind": scope.kind.value,
            "words": scope.in_words(material.names),
            **{name: scope.parameters.get(name, "") for name in _PARAMETERS},
        },
        "study": study and {"slug": study.slug, "name": study.name, "status": study.status},
        "protocol_digest": study.protocol_digest if study else "",
        "period": {
            "from": found.first["at"] if found.first else nothing,
            "to": found.last["at"] if found.last else nothing,
        },
        "issued": PREVIEW,
        "supersedes": "nothing: a preview is no record; an issued report names the one before it",
        "signers": SIGNERS,
    }


_PARAMETERS = ("study", "institution", "lineage", "from", "to", "unit")


def _title(material: Material) -> str:
    scope = material.scope
    if material.study:
        return material.study.name
    if scope.lineage:
        return f"{scope.lineage} at {material.names.get(scope.institution, scope.institution)}"
    return material.names.get(scope.institution, "All institutions")
