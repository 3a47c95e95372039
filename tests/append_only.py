"""Lets transactional tests empty the append-only tables at their end; nothing else does."""

from collections.abc import Iterator

import pytest
from django.core.management.commands import flush
from django.db import connections

from accounting import triggers
from studies import triggers as studies_triggers


@pytest.fixture(autouse=True, scope="session")
def _emptied_by_flush_only() -> Iterator[None]:
    plain = flush.Command.handle

    def handle(self: flush.Command, **options: object) -> None:
        connection = connections[str(options["database"])]
        triggers.execute(connection, triggers.REMOVE)
        studies_triggers.execute(connection, studies_triggers.REMOVE)
        try:
            plain(self, **options)
        finally:
            triggers.execute(connection, triggers.INSTALL)
            studies_triggers.execute(connection, studies_triggers.INSTALL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush.Command, "handle", handle)
        yield
