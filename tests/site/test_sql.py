"""A database: one state of it, streamed, read only, and nothing that it says comes out."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from structlog.testing import capture_logs

from federation.protocol.contract import ContractError
from federation.site.config import ConfigError, Dataset, read_config
from federation.site.folder import Folder
from federation.site.sources import sql
from tests.postgresql import PostgreSQL
from tests.site import sourcing
from tests.site.sourcing import QUERY, contract, lent, patients, read

SECRET_WORD = "canary-4711"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    server = PostgreSQL(tmp_path_factory.mktemp("postgresql") / "server")
    parent = server.folder.parent
    while parent.stat().st_mode & 0o005 != 0o005:  # root starts it as another user
        parent.chmod(0o755)
        parent = parent.parent
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE visits (place int, age real, chol numeric(6, 2), cp text, num smallint,"
            " who varchar(9))"
        )
        insert = "INSERT INTO visits VALUES (%s, %s, %s, %s, %s, %s)"
        for row in sourcing.rows():
            connection.execute(insert, row)
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'canary-4711'")
    yield server
    server.stop()


def asked(server: PostgreSQL, query: str = QUERY, **changes: Any) -> Dataset:
    return lent({"kind": "sql", "url": server.url, "query": query, **changes})


def test_long_identifiers_stay_apart(server: PostgreSQL) -> None:
    query = (
        "SELECT 2::numeric(30) ^ 60 + n AS who, 50 AS age, 0 AS num FROM generate_series(1, 9) n"
    )
    agreed = patients(columns=[{"name": "age", "low": 0, "high": 100}])
    found = read(asked(server, query), agreed).units
    assert found is not None
    assert len(set(found.tolist())) == 9


def test_postgresql_gives_the_rows_of_a_csv_file(server: PostgreSQL, tmp_path: Path) -> None:
    same = read(sourcing.csv_file(tmp_path), patients(), holdout=0.5)
    found = read(asked(server), patients(), holdout=0.5)
    assert np.allclose(found.features, same.features)
    assert found.targets.tolist() == same.targets.tolist()
    assert (found.held == same.held).all()


def test_rows_are_streamed_from_one_state(
    server: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "BLOCK_ROWS", 2)
    found = []
    with (
        closing(asked(server).blocks(contract())) as blocks,
        psycopg.connect(server.url, autocommit=True) as other,
    ):
        for block in blocks:
            found.append(len(block["age"]))
            other.execute("UPDATE visits SET age = age + 0 WHERE place = 4")
            other.execute("INSERT INTO visits VALUES (9, 5000, NULL, '1', 0, 'z')")
        other.execute("DELETE FROM visits WHERE place = 9")
    assert found == [2, 2, 1]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM visits RETURNING num, age, chol, cp, who",
        "INSERT INTO visits VALUES (9, 5, NULL, '1', 0, 'z') RETURNING num, age, chol, cp, who",
        "DROP TABLE visits",
    ],
)
def test_nothing_is_written(server: PostgreSQL, query: str) -> None:
    with pytest.raises(ContractError, match="the query failed"):
        read(asked(server, query), contract())
    assert len(read(asked(server), contract()).targets) == 5


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("SELECT 'canary-4711' FROM nowhere", "the query failed"),
        ("SELECT CAST('canary-4711' AS int) AS num", "the query failed"),
        ("SELECT num, age FROM visits", "column 'chol': missing column"),
        ("SELECT num, age, age, chol, cp FROM visits", "column 'age': duplicate column"),
        ("SELECT num, age, chol, cp FROM visits WHERE age > 1000", "empty"),
        ("SELECT num, now() AS age, chol, cp FROM visits", "column 'age': not a number"),
        ("SELECT num, age, ARRAY[1] AS chol, cp FROM visits", "column 'chol': wrong type"),
        ("SELECT num, 'NaN'::float AS age, chol, cp FROM visits", "column 'age': missing value"),
        ("SELECT num, 'canary-4711' AS age, chol, cp FROM visits", "column 'age': not a number"),
        ("SELECT num, age, chol, cp FROM visits WHERE cp LIKE '%canary%'", "empty"),
    ],
)
def test_each_fault_is_named(server: PostgreSQL, query: str, fault: str) -> None:
    with capture_logs() as logs, pytest.raises(ContractError, match=fault) as caught:
        read(asked(server, query), contract())
    assert SECRET_WORD not in str(caught.value) + str(logs)
    assert caught.value.__cause__ is None


def test_an_unreachable_database_is_told_without_its_address(server: PostgreSQL) -> None:
    for url in (
        "postgresql://reader@127.0.0.1:1/hospital",
        server.url.replace("/postgres", "/canary", 2).replace("canary:", "postgres:"),
        "sqlite:///nowhere/canary.sqlite",
    ):
        with pytest.raises(ContractError, match="unreachable database") as caught:
            read(lent({"kind": "sql", "url": url, "query": QUERY}), contract())
        assert not any(word in str(caught.value) for word in ("127.0", "reader", "canary"))


def test_sqlite_is_opened_for_reading_only(tmp_path: Path) -> None:
    url = sourcing.sqlite_file(tmp_path).source
    assert url is not None
    with pytest.raises(ContractError, match="the query failed"):
        read(lent({**url, "query": "DELETE FROM visits RETURNING num, age, chol, cp"}), contract())
    (tmp_path / "broken.sqlite").write_bytes(b"canary" * 1000)
    broken = {**url, "url": f"sqlite:///{tmp_path / 'broken.sqlite'}"}
    with pytest.raises(ContractError, match="the query failed"):
        read(lent(broken), contract())


def test_values_are_written_as_in_a_csv_file() -> None:
    for value, text in [
        (True, "1"),
        (2**60 + 1, str(2**60 + 1)),
        (2.0, "2"),
        (0.5, "0.5"),
        (" a ", "a"),
        (date(2026, 1, 31), "2026-01-31"),
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00+00:00"),
    ]:
        assert sql._text(value) == text


def test_the_version_changes_with_what_is_asked(tmp_path: Path) -> None:
    dataset = sourcing.sqlite_file(tmp_path)
    assert dataset.source is not None
    changed = [lent({**dataset.source, "edition": "2"}), lent({**dataset.source, "query": "X"})]
    assert len({found.version() for found in [dataset, *changed]}) == 3
    with closing(sqlite3.connect(tmp_path / "hospital.sqlite")) as database:
        before = dataset.version()
        database.execute("CREATE TABLE more (x)")
        database.commit()
    assert dataset.version() != before


CONFIG = """
[[dataset]]
name = "heart"
[dataset.source]
kind = "sql"
url = "{url}"
query = "SELECT 1"
{more}
"""


def config(folder: Path, url: str, more: str = "") -> Dataset:
    (folder / "site.toml").write_text(CONFIG.format(url=url, more=more))
    return read_config(Folder(folder)).dataset[0]


@pytest.mark.parametrize(
    ("url", "more", "words"),
    [
        ("postgresql://me:canary-4711@db/x", "", ["source.url", "password_env"]),
        ("postgresql://me@db/x?password=canary-4711", "", ["source.url", "password_file"]),
        ("canary-4711", "", ["source.url", "no database URL"]),
        ("sqlite:///x", 'passwort_env = "canary-4711"', ["source.passwort_env"]),
        ("sqlite:///x", 'password_env = "A"\npassword_file = "b"', ["not both"]),
    ],
)
def test_a_mistake_in_site_toml_never_shows_the_password(
    tmp_path: Path, url: str, more: str, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, url, more)
    assert all(word in str(caught.value) for word in words)
    assert SECRET_WORD not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_password_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "db.password").write_text(SECRET_WORD + "\n")
    monkeypatch.setenv("HEART_PASSWORD", SECRET_WORD)
    for more in ('password_file = "db.password"', 'password_env = "HEART_PASSWORD"'):
        dataset = config(tmp_path, "postgresql://reader@db/x", more)
        settings: Any = dataset.settings()
        assert sql._password(settings) == SECRET_WORD
        assert SECRET_WORD not in str(dataset) + dataset.version()
        assert SECRET_WORD not in repr(sql._engine(settings))
    dataset = config(tmp_path, "postgresql://reader@db/x", 'password_env = "NOT_SET"')
    assert "NOT_SET" not in os.environ
    with pytest.raises(ContractError, match="no password"):
        read(dataset, contract())


def test_an_sqlite_file_is_relative_to_the_folder(tmp_path: Path) -> None:
    settings: Any = config(tmp_path, "sqlite:///data/x.sqlite").settings()
    assert settings.url == f"sqlite:///{tmp_path / 'data' / 'x.sqlite'}"
