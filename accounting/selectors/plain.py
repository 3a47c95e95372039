"""Queries that every append asks, as plain SQL: building them anew costs ten times the answer."""

from collections.abc import Collection
from typing import Any

from django.db import connection


def select(sql: str, **among: Collection[str] | None) -> list[tuple[Any, ...]]:
    """The rows of `sql`, which ends within its WHERE clause.

    Each keyword names a column that must have one of the given values; None leaves it free.
    """
    values: list[str] = []
    for column, chosen in among.items():
        if chosen is not None:
            places = ", ".join(["%s"] * len(chosen)) or "NULL"
            sql += f" AND {column} IN ({places})"
            values += sorted(chosen)
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()
