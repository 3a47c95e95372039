"""The databases' own refusal to change or delete what was decided and what happened."""

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

TABLES = ("studies_approval", "studies_event", "studies_revision")
VERBS = ("UPDATE", "DELETE")
FUNCTION = "studies_append_only"
MESSAGE = "this table is append-only: write a new row instead"


def _sqlite_install(table: str) -> tuple[str, ...]:
    return tuple(
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
        for verb in VERBS
    )


def _sqlite_remove(table: str) -> tuple[str, ...]:
    return tuple(f"DROP TRIGGER IF EXISTS {table}_no_{verb.lower()}" for verb in VERBS)


def _postgresql_install(table: str) -> tuple[str, ...]:
    return (
        f"CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {FUNCTION}()",
    )


def _postgresql_remove(table: str) -> tuple[str, ...]:
    return (f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}",)


INSTALL = {"sqlite": _sqlite_install, "postgresql": _postgresql_install}
REMOVE = {"sqlite": _sqlite_remove, "postgresql": _postgresql_remove}


def execute(connection: BaseDatabaseWrapper, statements: dict) -> None:
    """Run INSTALL or REMOVE; raises NotImplementedError for an engine without such triggers."""
    if connection.vendor not in statements:
        raise NotImplementedError(
            f"no append-only triggers for {connection.vendor}; use SQLite or PostgreSQL"
        )
    with connection.cursor() as cursor:
        for table in TABLES:
            for statement in statements[connection.vendor](table):
                cursor.execute(statement)


def install(_apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """The migration's way forward. SQLite forgets triggers when a later migration rebuilds one of
    the tables (most AlterFields do): such a migration ends with this again, and a test sees to it.
    """
    execute(editor.connection, INSTALL)


def remove(_apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """The migration's way back."""
    execute(editor.connection, REMOVE)
