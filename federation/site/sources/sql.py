"""Rows of a query against the institution's own database, through SQLAlchemy, read only.

The query runs in one transaction that sees one state of the database, and its rows come through a
cursor on the server, so that neither side holds more than a block of them.
"""

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import numpy as np
import sqlalchemy
from pydantic import Field, field_validator, model_validator
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from federation.protocol.canonical import canonical_json, digest
from federation.protocol.cells import Cells, Coded, Columns, Numbers, number_text
from federation.protocol.contract import ContractError, row_width
from federation.protocol.csv_file import needed_columns
from federation.protocol.document import ArrayColumn, DataContract, NumberColumn
from federation.site.sources import File, Settings, rows_per_block

BLOCK_ROWS = 10_000
CONNECT_SECONDS = 15
NUMBERS = (int, float, Decimal, type(None))
PLAIN = (*NUMBERS, str, date)  # a datetime is a date, a bool an int
DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}


class SqlSettings(Settings):
    """The database's URL without a password, and one SELECT whose columns the contract names.

    A database does not say when its rows changed: they are read once for each protocol, and again
    when `edition` is changed.
    """

    url: str = Field(min_length=1)
    query: str = Field(min_length=1)
    edition: str = ""
    password_env: str | None = None
    password_file: File | None = None

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str) -> str:
        try:
            found = sqlalchemy.make_url(url)
        except ArgumentError:
            # The original error quotes the URL.
            raise ValueError("no database URL; write dialect://user@host/database") from None
        if found.password is not None or "password" in found.query:
            raise ValueError("holds a password; name password_env or password_file instead")
        return url

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password_env and self.password_file:
            raise ValueError("give password_env or password_file, not both")
        return self

    def within(self, folder: Path) -> Self:
        """An SQLite file, too, is taken from `folder`."""
        found, url = super().within(folder), sqlalchemy.make_url(self.url)
        file = _sqlite_file(url)
        if file is None:
            return found
        moved = url.set(database=str(folder / file)).render_as_string(hide_password=False)
        return found.model_copy(update={"url": moved})


class SqlQuery:
    """One query; PostgreSQL and SQLite are tested, others as SQLAlchemy knows them."""

    Settings = SqlSettings

    def version(self, settings: SqlSettings) -> str:
        """By what is asked, and of SQLite also by the file."""
        asked: list[Any] = [settings.url, settings.query, settings.edition]
        file = _sqlite_file(sqlalchemy.make_url(settings.url))
        if file is not None and file.exists():
            seen = file.stat()
            asked += [str(seen.st_size), str(seen.st_mtime_ns)]
        return digest(canonical_json(asked))

    def blocks(self, settings: SqlSettings, contract: DataContract) -> Generator[Columns]:
        """Blocks of numbers and coded texts."""
        try:
            engine = _engine(settings)
        except (SQLAlchemyError, ImportError):
            raise _fault(
                "unknown kind of database", "install its driver, or correct `url`"
            ) from None
        try:
            yield from _blocks(_connected(engine), settings.query, contract)
        except SQLAlchemyError:
            # The original errors' texts quote the query and its values.
            raise _fault(
                "the query failed", "try it as the same user with the database's own client"
            ) from None
        finally:
            engine.dispose()


def _fault(fault: str, advice: str) -> ContractError:
    return ContractError("", fault, advice)


def _engine(settings: SqlSettings) -> sqlalchemy.Engine:
    url = sqlalchemy.make_url(settings.url)
    url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
    options: dict[str, Any] = {}
    file = _sqlite_file(url)
    if file is not None:
        if not file.is_file():
            raise _fault("unreachable database", "check that the file exists")
        url = url.set(database=f"file:{quote(str(file))}", query={"mode": "ro", "uri": "true"})
    if url.drivername.startswith("postgresql"):
        options = {"connect_args": {"connect_timeout": CONNECT_SECONDS}}
    password = _password(settings)
    if password is not None:
        url = url.set(password=password)
    return sqlalchemy.create_engine(
        url, poolclass=sqlalchemy.NullPool, hide_parameters=True, **options
    )


def _sqlite_file(url: sqlalchemy.URL) -> Path | None:
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def _password(settings: SqlSettings) -> str | None:
    try:
        if settings.password_env:
            return os.environ[settings.password_env]
        if settings.password_file:
            return settings.password_file.read_text(encoding="utf-8").strip()
    except (KeyError, OSError, UnicodeDecodeError):
        raise _fault("no password", "set what password_env or password_file names") from None
    return None


def _connected(engine: sqlalchemy.Engine) -> sqlalchemy.Connection:
    try:
        connection = engine.connect()
    except SQLAlchemyError:
        raise _fault(
            "unreachable database", "check the address, the user, the password and the network"
        ) from None
    if engine.dialect.name == "postgresql":
        return connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
    return connection


def _blocks(
    connection: sqlalchemy.Connection, query: str, contract: DataContract
) -> Iterator[Columns]:
    names = needed_columns(contract)
    form = {column.name: column for column in contract.columns}
    most = min(BLOCK_ROWS, rows_per_block(row_width(contract)))
    with connection:
        # Without parameters a "%" in the query is just that.
        options = {"stream_results": True, "max_row_buffer": most, "no_parameters": True}
        with closing(connection.exec_driver_sql(query, execution_options=options)) as result:
            if not result.returns_rows:
                raise _fault("the query gives no rows", "write one SELECT")
            places = _places(list(result.keys()), names)
            empty = True
            for rows in result.partitions(most):
                empty = False
                columns = list(zip(*rows, strict=True))
                yield {
                    name: _cells(name, columns[place], form.get(name))
                    for name, place in zip(names, places, strict=True)
                }
        if empty:
            raise _fault("empty", "write a query that gives at least one row")


def _places(found: list[str], names: list[str]) -> list[int]:
    for name in names:
        if found.count(name) > 1:
            raise ContractError(name, "duplicate column", "select one column of this name")
        if name not in found:
            raise ContractError(
                name, "missing column", "the query must select it under exactly this name"
            )
    return [found.index(name) for name in names]


def _cells(name: str, values: Sequence[Any], column: object) -> Cells:
    if isinstance(column, ArrayColumn):
        raise ContractError(name, "wrong type", "arrays come from npz, Parquet or image folders")
    kinds = set(map(type, values))
    if not all(issubclass(kind, PLAIN) for kind in kinds):
        raise ContractError(name, "wrong type", "select plain numbers, texts or dates")
    if isinstance(column, NumberColumn) and all(issubclass(kind, NUMBERS) for kind in kinds):
        null = np.array([value is None for value in values], dtype=bool)
        numbers = [0.0 if value is None else float(value) for value in values]
        return Numbers(np.array(numbers, dtype=np.float64), null)
    places: dict[str, int] = {}
    codes = [
        -1 if value is None else places.setdefault(_text(value), len(places)) for value in values
    ]
    return Coded(list(places), np.array(codes, dtype=np.int64))


def _text(value: Any) -> str:
    """As it would stand in a CSV file: yes and no are 1 and 0, 2.0 is 2."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, date):
        return value.isoformat()
    return number_text(value)


SOURCE = SqlQuery()
