"""The database's own refusal to change or delete a ledger row, for each engine."""

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

TABLE = "accounting_entry"
_MESSAGE = "the ledger is append-only: write a new entry instead"
_SQLITE = tuple(
    f"CREATE TRIGGER IF NOT EXISTS {TABLE}_no_{verb.lower()} BEFORE {verb} ON {TABLE} "
    f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
    for verb in ("UPDATE", "DELETE")
)
_POSTGRESQL = (
    f"CREATE OR REPLACE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ "
    f"BEGIN RAISE EXCEPTION '{_MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
    f"CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE ON {TABLE} "
    f"FOR EACH ROW EXECUTE FUNCTION {TABLE}_refuse()",
)
INSTALL = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}
REMOVE = {
    "sqlite": (
        f"DROP TRIGGER IF EXISTS {TABLE}_no_update",
        f"DROP TRIGGER IF EXISTS {TABLE}_no_delete",
    ),
    "postgresql": (f"DROP TRIGGER IF EXISTS {TABLE}_append_only ON {TABLE}",),
}


def statements(table: dict[str, tuple[str, ...]], vendor: str) -> tuple[str, ...]:
    """The SQL for `vendor`. Raises NotImplementedError: a ledger without a guard is not made."""
    if vendor not in table:
        raise NotImplementedError(
            f"the ledger has no append-only triggers for {vendor}; use SQLite or PostgreSQL"
        )
    return table[vendor]


def execute(connection: BaseDatabaseWrapper, table: dict[str, tuple[str, ...]]) -> None:
    """Run INSTALL or REMOVE on a connection."""
    with connection.cursor() as cursor:
        for statement in statements(table, connection.vendor):
            cursor.execute(statement)


def install(_apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """The migration's way forward. A later migration that rebuilds the table repeats it."""
    execute(editor.connection, INSTALL)


def remove(_apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """The migration's way back."""
    execute(editor.connection, REMOVE)
