"""What of the hub's rows and of a site's rows about one mechanism may stand side by side.

The hub charges when a site *takes* an assignment, the site when it is about to read its data. So
these states are legal, on the way and for good:

| hub | site | because |
|---|---|---|
| charged | nothing | the assignment is on its way, or the site has not begun, or has not told yet |
| charged, lost | nothing | the site never got it, or was down until it expired: stays charged |
| charged, lost | charged | it computed, and no answer came in time |
| charged, lost | charged, released | the answer came too late |
| charged, released | charged | the site's statement is older than its answer |
| charged, aborted | refused | the site said under its signature that it read nothing |
| charged, refused | charged, refused | the site failed after access |
| charged, refused | charged, released | what came was not used, or came after a refusal |

In short: the hub never knows of fewer charges than the site, and of no other release. Where it
does, as after a restored backup, what its signed journal proves is booked (services/booking).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from accounting.canonical import canonical_json
from accounting.models import Differs, EntryKind

SHARED = ("event", "lineage", "protocol_digest")
Place = tuple[str, int, int, str]  # study, round, attempt, phase


@dataclass
class Side:
    """What one side says of one mechanism: its rows by kind, and the fields both should share."""

    kinds: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    charges: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # site's, by digest
    releases: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # site's, by digest
    booked: set[str] = field(default_factory=set)  # digests of the site's rows that the hub booked

    def to_json(self) -> dict[str, str]:
        """For people: the rows in order, and every known field."""
        twice = {"charges": ", ".join(sorted(self.charges))} if len(self.charges) > 1 else {}
        return {"rows": ", ".join(self.kinds), **self.facts, **twice}


def hub_side(bodies: Iterable[Mapping[str, Any]]) -> Side:
    """The hub's rows (bodies) about one mechanism, in the ledger's order."""
    side = Side()
    for body in bodies:
        side.kinds.append(body["kind"])
        if body["kind"] == EntryKind.RESERVED:
            side.facts |= {
                "event": canonical_json(body["event"]),
                "lineage": body["lineage"],
                "protocol_digest": body["protocol_digest"],
            }
        if body["kind"] == EntryKind.BOOKED:
            side.booked.add(body["journal"]["digest"])
        if body["kind"] == EntryKind.RELEASED:
            side.facts["tensors_digest"] = body["tensors_digest"]
            side.facts["charge"] = body.get("journal", {}).get("digest", "")
    return side


def site_side(rows: Iterable[Mapping[str, Any]]) -> Side:
    """The site's rows about one mechanism, in the journal's order."""
    side = Side()
    for row in rows:
        side.kinds.append(row["kind"])
        if row["kind"] == "charged":
            side.charges[row["digest"]] = row
            side.facts |= {name: row[name] for name in SHARED} | {"charge": row["digest"]}
        if row["kind"] == "released":
            side.releases[row["digest"]] = row
            side.facts["tensors_digest"] = row["tensors_digest"]
    return side


def uncounted(hub: Side, site: Side) -> list[Mapping[str, Any]]:
    """The site's charges that nothing at the hub counts yet, in the journal's order.

    A reservation that was not given back counts one charge that is not booked: of the same event
    on the same dataset, and the one that the site's answer named, also before its journal tells it.
    """
    own = [digest for digest, row in site.charges.items() if _counts(hub, row)]
    free = [digest for digest in own if digest not in hub.booked]
    covered = set(free[:1])
    named = hub.facts.get("charge", "")
    if named and (named in free or named not in site.charges):
        covered = {named}
    return [
        row
        for digest, row in site.charges.items()
        if digest not in hub.booked and digest not in covered
    ]


def unlisted(hub: Side, site: Side) -> list[Mapping[str, Any]]:
    """What the site's journal says that left and the hub never heard of, in the journal's order.

    Not what came too late: the hub holds that, and its loss is charged. Nor what the hub received
    under a charge that it booked before the answer came.
    """
    booked = {row["assignment"] for digest, row in site.charges.items() if digest in hub.booked}
    refused = EntryKind.REFUSED in hub.kinds and EntryKind.RELEASED not in hub.kinds
    return [
        row
        for digest, row in site.releases.items()
        if digest not in hub.booked
        and digest != _received(hub, site)
        and (refused or row["assignment"] in booked)
    ]


def _received(hub: Side, site: Side) -> str:
    """The site's row of what the hub received: the first one with its digest; '' for none."""
    left = hub.facts.get("tensors_digest", "")
    rows = site.releases.items()
    return next((digest for digest, row in rows if left and row["tensors_digest"] == left), "")


def _counts(hub: Side, charge: Mapping[str, Any]) -> bool:
    """Whether the hub's reservation stands, and is about the same as a charge of the site."""
    stands = EntryKind.RESERVED in hub.kinds and EntryKind.ABORTED not in hub.kinds
    return stands and all(hub.facts[name] == charge[name] for name in ("event", "lineage"))


def contradiction(hub: Side, site: Side, *, covered: bool) -> Differs | None:
    """What cannot be true of both sides; None where both may be.

    `covered`: the site stated its whole journal after it had seen the hub's release in the
    ledger, so that a release it does not know of never was.
    """
    if len(site.charges) > 1:
        return Differs.CHARGED_TWICE
    if site.charges and not _in_force(hub):
        return Differs.UNCHARGED
    if site.charges and any(hub.facts.get(name) != site.facts[name] for name in SHARED):
        return Differs.OTHER_CHARGE
    if EntryKind.RELEASED not in hub.kinds:
        return None
    return _of_release(hub, site, covered)


def core(what: str, hub: Mapping[str, str], site: Mapping[str, str]) -> str:
    """What a contradiction (both sides as JSON) is about, as text: told anew once this changes.

    Later rows of the same mechanism add fields to either side, and leave this as it is.
    """
    shared = {
        name: [hub.get(name, ""), site.get(name, "")]
        for name in _CORE.get(what, ())
        if hub.get(name) != site.get(name)
    }
    if len(shared) > 1:
        shared.pop("charge", None)  # what was charged differs, so where it stands does, too
    return canonical_json([str(what), shared])


_CORE: dict[str, tuple[str, ...]] = {
    Differs.UNCHARGED: ("charge",),
    Differs.OTHER_CHARGE: (*SHARED, "charge"),
    Differs.CHARGED_TWICE: ("charges",),
    Differs.OTHER_RELEASE: ("tensors_digest",),
    Differs.UNRELEASED: ("tensors_digest",),
}


def _in_force(hub: Side) -> bool:
    return EntryKind.CHARGED in hub.kinds and EntryKind.ABORTED not in hub.kinds


def _of_release(hub: Side, site: Side, covered: bool) -> Differs | None:
    if "released" not in site.kinds:
        return Differs.UNRELEASED if covered else None
    if hub.facts["tensors_digest"] != site.facts["tensors_digest"]:
        return Differs.OTHER_RELEASE
    if site.charges and hub.facts["charge"] not in site.charges:
        return Differs.OTHER_CHARGE
    return None


def parsed(text: str) -> dict[str, Any]:
    """A stored body."""
    body: dict[str, Any] = json.loads(text)
    return body
