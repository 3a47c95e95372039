"""What the hub looks at by itself: budgets that run low, and whether the ledger still holds.

Each finding is an event; the alerts bring it to people.
"""

import json
from collections.abc import Iterable
from typing import Any

from accounting.models import Entry, EntryKind
from accounting.selectors import commitments, spending
from accounting.services.verification import Verdict, verify
from studies.kinds import SPENT
from studies.models import Event, Institution, Study
from studies.services import events

LOW = 0.8  # of a budget
AND_COMMITTED = "spent, reserved or committed to other studies"


def look(entries: Iterable[Entry]) -> None:
    """Tell, once for each budget, that these reservations brought it above 80 %.

    Of a study, whose sealed plan by design ends near its whole budget, once for all its sites;
    of a dataset's lifetime budget, to its own house and its officers.
    """
    for entry in entries:
        if entry.kind == EntryKind.RESERVED:
            _look_at(entry, json.loads(entry.body))


def verify_now() -> Verdict:
    """Verify the whole ledger; a break is an event, once for each new problem.

    A pass is written only after a break, or where no verdict is on record yet.
    """
    verdict = verify()
    last = Event.objects.filter(kind__in=("ledger_verified", "ledger_broken")).last()
    if not verdict.ok:
        if last is None or last.payload.get("reason") != verdict.sentence():
            events.record("ledger_broken", **verdict.about())
    elif last is None or last.kind == "ledger_broken":
        events.record("ledger_verified", **verdict.about())
    return verdict


def _look_at(entry: Entry, body: dict[str, Any]) -> None:
    study, dataset = body["checks"]
    share = float(body["figure"]["epsilon"]) / float(study["limit"])
    if share >= LOW:
        _tell_study(entry, share, study["limit"], sealed=body["sealed"])
    share = float(dataset["epsilon"]) / float(dataset["limit"])
    how = AND_COMMITTED if not body["sealed"] and _others_committed(entry) else SPENT
    if share >= LOW and not _by_filter(dataset):
        # "It fits in any case" was said by a looser accountant than the page shows.
        share, how = spending.remaining(entry.institution, entry.lineage).share, SPENT
    if share >= LOW:
        _tell_house(entry, share, dataset["limit"], how)


def _others_committed(entry: Entry) -> bool:
    """Whether other studies' plans stand on the dataset: beyond its plan, an event leaves them."""
    place = (entry.institution, entry.lineage)
    standing = commitments.standing([entry.institution])
    return any(plan.study != entry.study for plan in standing.at(place))


def _by_filter(check: dict[str, str]) -> bool:
    """Whether the check's own figure decides: the filter at its sealed order."""
    return "sealed in advance" in check["discretisation"]


def _tell_study(entry: Entry, share: float, limit: str, *, sealed: bool) -> None:
    study = Study.objects.filter(slug=entry.study).first()
    if study is None or Event.objects.filter(kind="budget_low", study=study).exists():
        return
    plan = {"reason": "as its sealed plan foresees"} if sealed else {}
    events.record(
        "budget_low",
        study=study,
        what="this study",
        percent=int(100 * share),
        how=SPENT,
        limit=limit,
        **plan,
    )


def _tell_house(entry: Entry, share: float, limit: str, how: str) -> None:
    house = Institution.objects.filter(slug=entry.institution).first()
    about = {"what": f"dataset {entry.lineage}", "limit": limit}
    told = Event.objects.filter(
        kind="budget_low", study=None, institution=house, payload__limit=limit
    )
    if not told.filter(payload__what=about["what"]).exists():
        percent = int(100 * share)
        events.record("budget_low", institution=house, percent=percent, how=how, **about)
