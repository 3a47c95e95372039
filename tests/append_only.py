"""Lets transactional tests empty the append-only tables at their end; nothing else does."""

from collections.abc import Iterator

import pytest
from django.core.management.commands import flush
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from studies import triggers


@pytest.fixture(autouse=True, scope="session")
def _emptied_by_flush_only() -> Iterator[None]:
    plain, remove = flush.Command.handle, triggers.remove
    taken: set[str] = set()

    def remembered(connection: BaseDatabaseWrapper, tables: tuple[str, ...]) -> None:
        taken.update(tables)
        remove(connection, tables)

    def handle(self: flush.Command, **options: object) -> None:
        connection = connections[str(options["database"])]
        # Those too that a test took the guard from, playing somebody who can.
        tables = tuple(triggers.guarded_tables(connection) | taken)
        with transaction.atomic(str(options["database"])):  # one commit, not one per trigger
            triggers.remove(connection, tables)
            plain(self, **options)
            triggers.install(connection, tables)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush.Command, "handle", handle)
        patch.setattr(triggers, "remove", remembered)
        yield
