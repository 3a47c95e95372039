"""Section 6 of the report: everything that left the sites, what became of it, what is unprotected.

A contribution whose answer came after its deadline is in the ledger as `lost`; its tensors left
nevertheless. The hub's own event tells of those that it holds, a site's signed journal of the rest.
"""

import json
from collections.abc import Iterable
from typing import Any

from accounting.models import EntryKind, SiteEntry
from accounting.reports import wording
from accounting.reports.parts import Material
from accounting.reports.trail import Body, Deed, day_of
from studies.models import Event

Place = tuple[str, str, int, int, str]  # study, institution, round, attempt, phase
USED = "part of a model"
UNUSED = "not used; it stays charged"
WAITING = "not used yet"
LATE = "it came too late: not used, and it stays charged"
BOOKED = "told by the site's signed journal alone; it stays charged"
NO_MODEL = "no model"


def section(material: Material) -> dict[str, Any]:
    """What left, what it cost, and what is public by declaration."""
    late = late_places(material)
    rows = [_released(deed) for deed in material.trail.deeds if EntryKind.RELEASED in deed.rows]
    rows += [
        _late(deed, late[place_of(deed)]) for deed in _lost(material) if place_of(deed) in late
    ]
    return {
        "released": rows + _booked(material),
        "unprotected": list(wording.UNPROTECTED),
        "not_private": wording.NOT_PRIVATE,
    }


def late_places(material: Material) -> dict[Place, str]:
    """The lost mechanisms whose tensors left all the same, with their SHA-256."""
    lost = {place_of(deed) for deed in _lost(material)}
    if not lost:
        return {}
    told = [*_journalled({place[0] for place in lost}), *_received({place[0] for place in lost})]
    return {place: digest for place, digest in told if place in lost}


def place_of(deed: Deed) -> Place:
    """What a deed was about."""
    names = ("study", "institution", "round", "attempt", "phase")
    study, institution, number, attempt, phase = (deed.reserved[name] for name in names)
    return study, institution, number, attempt, phase


def _lost(material: Material) -> list[Deed]:
    return [deed for deed in material.trail.deeds if EntryKind.LOST in deed.rows]


def _received(studies: Iterable[str]) -> Iterable[tuple[Place, str]]:
    """Late answers whose tensors the hub holds, by its own events."""
    rows = Event.objects.filter(
        kind="contribution_rejected", study__slug__in=studies, payload__has_key="tensors_digest"
    ).select_related("study", "institution")
    for event in rows:
        told = event.payload
        if event.study and event.institution:
            where = (event.study.slug, event.institution.slug)
            place = (*where, told["round"], told["attempt"], told["phase"])
            yield place, told["tensors_digest"]


def _journalled(studies: Iterable[str]) -> Iterable[tuple[Place, str]]:
    """What sites' journals, as they told them, say was released."""
    for row in SiteEntry.objects.filter(kind=EntryKind.RELEASED, study__in=studies):
        place = (row.study, row.institution, row.round, row.attempt, row.phase)
        yield place, json.loads(row.body)["tensors_digest"]


def _booked(material: Material) -> list[dict[str, Any]]:
    """What left by the site's own signed journal, and the hub never had."""
    scope = material.scope
    return [
        _left(body, body["tensors_digest"], body["figure"], NO_MODEL, BOOKED)
        for body in material.trail.rows(EntryKind.BOOKED)
        if scope.unit in ("", body["unit"]) and (scope.since is None or day_of(body) >= scope.since)
    ]


def _released(deed: Deed) -> dict[str, Any]:
    body = deed.rows[EntryKind.RELEASED]
    model = deed.rows.get(EntryKind.ACKNOWLEDGED, {}).get("model_digest", "")
    refused = UNUSED if EntryKind.REFUSED in deed.rows else WAITING
    outcome = USED if model else refused
    figure = deed.reserved["figure"]
    return _left(body, body["tensors_digest"], figure, model or NO_MODEL, outcome)


def _late(deed: Deed, digest: str) -> dict[str, Any]:
    return _left(deed.rows[EntryKind.LOST], digest, deed.reserved["figure"], NO_MODEL, LATE)


def _left(
    body: Body, digest: str, figure: dict[str, str], model: str, outcome: str
) -> dict[str, Any]:
    return {
        "entry": body["sequence"],
        "at": body["at"],
        "study": body["study"],
        "institution": body["institution"],
        "round": body["round"],
        "phase": body["phase"],
        "sha256": digest,
        "became_part_of": model,
        "outcome": outcome,
        "epsilon_after": figure["epsilon"],
    }
