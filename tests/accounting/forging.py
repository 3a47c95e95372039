"""What somebody with full access to the database can do, carefully; the hub's key is not there."""

import json
from collections import Counter

from django.db import connection

from accounting.canonical import GENESIS, canonical_json, chained
from accounting.log.merkle import Frontier, leaf_hash
from accounting.models import Entry, LedgerHead, SpentSteps
from accounting.services import sums
from accounting.services.rows import columns, joined
from studies import triggers

TABLES = ("accounting_entry", "accounting_ledgercheckpoint")


def unguard() -> None:
    """Drop the triggers."""
    triggers.remove(connection, TABLES)


def rehash() -> None:
    """Make chain, tree, head, columns and sums consistent with the bodies again."""
    previous, tree = GENESIS, Frontier()
    for row in Entry.objects.order_by("sequence"):
        row.previous_digest, row.digest = previous, chained(previous, row.body)
        row.subtrees = joined(tree.append(leaf_hash(row.body.encode())))
        for name, value in columns(json.loads(row.body)).items():
            setattr(row, name, value)
        row.save()
        previous = row.digest
    LedgerHead.objects.update(size=tree.size, digest=previous, frontier=joined(tree.roots))
    resum()


def resum() -> None:
    """Make the running sums those of the rows."""
    found: dict[sums.Place, Counter[str]] = {}
    states: dict[str, tuple[str, sums.Place, int]] = {}
    for row in Entry.objects.order_by("sequence"):
        key = row.idempotency_key.rpartition("/")[0]
        if row.steps:
            event = json.loads(row.body)["event"]
            place = sums.place(row, event)
            found.setdefault(place, Counter())["steps"] += row.steps
            states.setdefault(key, (row.kind, place, event["steps"]))
        if key in states:
            states[key] = (row.kind, *states[key][1:])
    for kind, place, steps in states.values():
        found[place]["waiting"] += steps if kind == "reserved" else 0
    SpentSteps.objects.all().delete()
    for place, counts in found.items():
        SpentSteps.objects.create(**dict(zip(sums.COLUMNS, place, strict=True)), **counts)


def forge(sequence: int, change) -> None:
    """Change one body, and everything that follows from it."""
    row = Entry.objects.get(sequence=sequence)
    body = json.loads(row.body)
    change(body)
    Entry.objects.filter(pk=row.pk).update(body=canonical_json(body))
    rehash()


def cut(size: int) -> None:
    """Drop the newest entries and repair what says that they were there."""
    Entry.objects.filter(sequence__gt=size).delete()
    rehash()
