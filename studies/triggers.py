"""The database's own refusal to change or delete the rows of a table, for each engine.

A migration that makes such a table ends with `guarded(table)`. SQLite forgets triggers when a
later migration rebuilds the table (most AddFields and AlterFields do): such a migration ends with
it again. `guarded_tables` asks the database itself, and tests compare it with the models.
"""

from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db import migrations
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

VERBS = ("UPDATE", "DELETE")
FUNCTION = "refuse_change"
SUFFIX = "_append_only"
MESSAGE = "this table is append-only: write a new row instead"


def guarded(*tables: str) -> migrations.RunPython:
    """The migration's operation that guards `tables`; its way back takes the guard away."""
    return migrations.RunPython(partial(_forward, tables), partial(_back, tables))


def install(connection: BaseDatabaseWrapper, tables: tuple[str, ...]) -> None:
    """Guard `tables`, again where they are guarded already."""
    remove(connection, tables)
    _run(connection, tables, {"sqlite": _sqlite_install, "postgresql": _postgresql_install})


def remove(connection: BaseDatabaseWrapper, tables: tuple[str, ...]) -> None:
    """Take the guard of `tables` away."""
    _run(connection, tables, {"sqlite": _sqlite_remove, "postgresql": _postgresql_remove})


def guarded_tables(connection: BaseDatabaseWrapper) -> frozenset[str]:
    """The tables that the database itself keeps from being changed."""
    with connection.cursor() as cursor:
        cursor.execute(_chosen(connection, _LISTS))
        return frozenset(row[0] for row in cursor.fetchall())


def _forward(tables: tuple[str, ...], _apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    install(editor.connection, tables)


def _back(tables: tuple[str, ...], _apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    remove(editor.connection, tables)


def _run(connection: BaseDatabaseWrapper, tables: tuple[str, ...], statements: dict) -> None:
    write = _chosen(connection, statements)
    with connection.cursor() as cursor:
        for table in tables:
            for statement in write(cursor, table):
                cursor.execute(statement)


def _unique(cursor: Any, table: str) -> list[list[str]]:
    """The groups of columns that no two rows share, as SQLite itself lists them.

    Django's introspection says the same after parsing the whole CREATE TABLE in Python, which
    takes a hundred times as long.
    """
    cursor.execute(_UNIQUE, {"table": table})
    rows = cursor.fetchall()
    return [[row[1] for row in group] for _, group in groupby(rows, itemgetter(0))]


def _chosen(connection: BaseDatabaseWrapper, by_vendor: dict):
    """What is for this engine. Raises NotImplementedError: a record without a guard is not made."""
    if connection.vendor not in by_vendor:
        raise NotImplementedError(
            f"no append-only triggers for {connection.vendor}; use SQLite or PostgreSQL"
        )
    return by_vendor[connection.vendor]


def _sqlite_install(cursor: Any, table: str) -> tuple[str, ...]:
    """INSERT OR REPLACE fires no DELETE trigger, so it is refused where it would replace a row."""
    refuse = f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
    replaced = " OR ".join(
        "(" + " AND ".join(f"{name} = NEW.{name}" for name in names) + ")"
        for names in _unique(cursor, table)
    )
    return (
        *(
            f"CREATE TRIGGER {table}{SUFFIX}_{verb.lower()} BEFORE {verb} ON {table} {refuse}"
            for verb in VERBS
        ),
        f"CREATE TRIGGER {table}{SUFFIX}_replace BEFORE INSERT ON {table} "  # noqa: S608
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {replaced}) {refuse}",
    )


def _sqlite_remove(_cursor: Any, table: str) -> tuple[str, ...]:
    return tuple(
        f"DROP TRIGGER IF EXISTS {table}{SUFFIX}_{verb.lower()}" for verb in (*VERBS, "replace")
    )


def _postgresql_install(_cursor: Any, table: str) -> tuple[str, ...]:
    return (
        f"CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
        f"CREATE TRIGGER {table}{SUFFIX} BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {FUNCTION}()",
        f"CREATE TRIGGER {table}{SUFFIX}_truncate BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {FUNCTION}()",
    )


def _postgresql_remove(_cursor: Any, table: str) -> tuple[str, ...]:
    return tuple(
        f"DROP TRIGGER IF EXISTS {table}{SUFFIX}{end} ON {table}" for end in ("", "_truncate")
    )


_LISTS = {
    "sqlite": "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger' "
    "AND name = tbl_name || '_append_only_delete'",
    "postgresql": "SELECT relname FROM pg_trigger JOIN pg_class ON tgrelid = pg_class.oid "
    "WHERE tgname = relname || '_append_only'",
}
_UNIQUE = """
SELECT '', name, pk FROM pragma_table_info(%(table)s) WHERE pk
UNION ALL
SELECT list.name, info.name, info.seqno
FROM pragma_index_list(%(table)s) AS list JOIN pragma_index_info(list.name) AS info
WHERE list."unique" AND list.origin <> 'pk'
ORDER BY 1, 3
"""
