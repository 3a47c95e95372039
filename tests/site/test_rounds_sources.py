"""Whole rounds over other sources than CSV: the same answers, and no word of the data leaves."""

import errno
import io
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from structlog.testing import capture_logs

from federation.protocol.messages import Contribution, Reason
from federation.site.assembly import Site
from federation.site.folder import Folder
from tests.site.conftest import CONFIG, model, patients, study
from tests.site.hub import Hub
from tests.site.playing import answer_of, kinds, play_one, refused

Build = Callable[[Folder], Site]
SQL = """
[dataset.source]
kind = "sql"
url = "sqlite:///hospital.sqlite"
query = "SELECT age, pressure, pain, disease FROM visits"
"""


def parquet(folder: Folder, text: str) -> None:
    pq.write_table(pyarrow.csv.read_csv(io.BytesIO(text.encode())), folder.path / "heart.parquet")
    folder.config.write_text(CONFIG.replace("heart.csv", "heart.parquet"))


def database(folder: Folder, text: str) -> None:
    head, *lines = text.split()
    with closing(sqlite3.connect(folder.path / "hospital.sqlite")) as connection:
        connection.execute("DROP TABLE IF EXISTS visits")
        connection.execute(f"CREATE TABLE visits ({head})")
        rows = [line.split(",") for line in lines]
        connection.executemany("INSERT INTO visits VALUES (?, ?, ?, ?)", rows)
        connection.commit()
    table, limits = CONFIG.replace('file = "heart.csv"\n', "").split("\n[limits]")
    folder.config.write_text(f"{table}{SQL}\n[limits]{limits}")


@pytest.mark.parametrize("give", [parquet, database])
def test_training_and_evaluation_are_answered(
    folder: Folder, hub: Hub, assembled: Build, give: Callable[[Folder, str], None]
) -> None:
    give(folder, patients())
    site = assembled(folder)
    protocol = study()
    hub.approve(protocol)
    assert isinstance(answer_of(site, hub, protocol, 1), Contribution)
    assert play_one(site, hub, hub.assign(protocol, model(), round=3, phase="evaluate"))
    assert kinds(site) == ["charged", "released", "acknowledged"] * 2
    assert (folder.rows.stat().st_mode & 0o777) == 0o700


@pytest.mark.parametrize("give", [parquet, database])
def test_canary_words_stay_inside(
    folder: Folder, hub: Hub, assembled: Build, give: Callable[[Folder, str], None]
) -> None:
    give(folder, patients() + "50,120,canary-word,1\n")
    site = assembled(folder)
    protocol = study()
    hub.approve(protocol)
    with capture_logs() as logs:
        answer = refused(site, hub, hub.assign(protocol, model()))
    assert answer.reason == Reason.DATA_MISMATCH
    assert "canary-word" not in str(logs)
    assert b"canary-word" not in hub.traffic()
    assert list(folder.rows.iterdir()) == []


def test_no_room_for_the_rows_is_said_here_and_not_there(
    site: Site, hub: Hub, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = study()
    hub.approve(protocol)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with capture_logs() as logs, monkeypatch.context() as patched:
        patched.setattr("federation.site.rowstore._written", full)
        answer = refused(site, hub, hub.assign(protocol, model()))
    assert (answer.reason, answer.accessed) == (Reason.LOCAL_FAILURE, True)
    assert "make room" in str(logs)
    assert b"make room" not in hub.traffic()
    assert isinstance(answer_of(site, hub, protocol, 2), Contribution)
