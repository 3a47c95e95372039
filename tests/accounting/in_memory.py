"""A whole bundle in memory, as only a test needs it."""

import json
from typing import Any

from django.db.models import QuerySet

from accounting.models import Entry
from accounting.selectors.bundle import pieces


def text(rows: QuerySet[Entry] | None = None, **about: Any) -> str:
    return "".join(pieces(rows, **about))


def document(rows: QuerySet[Entry] | None = None, **about: Any) -> dict[str, Any]:
    return json.loads(text(rows, **about))
