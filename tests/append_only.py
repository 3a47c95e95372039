"""Lets transactional tests empty the append-only tables at their end; nothing else does."""

from collections.abc import Iterator

import pytest
from django.core.management.commands import flush
from django.db import connections

from studies import triggers


@pytest.fixture(autouse=True, scope="session")
def _emptied_by_flush_only() -> Iterator[None]:
    plain = flush.Command.handle

    def handle(self: flush.Command, **options: object) -> None:
        connection = connections[str(options["database"])]
        tables = tuple(triggers.guarded_tables(connection))
        triggers.remove(connection, tables)
        try:
            plain(self, **options)
        finally:
            triggers.install(connection, tables)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush.Command, "handle", handle)
        yield
