"""Rows in files: the same whichever way they are read, asked for ahead only where that helps."""

import os
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.protocol import stored
from federation.protocol.stored import FileRows

ROWS = np.arange(600, dtype="<f4").reshape(200, 3)
ANY = st.lists(st.integers(0, len(ROWS) - 1), max_size=40)
WAYS = [(len(ROWS) * 12, False), (0, True), (0, False)]  # mapped; always asked for; once


def written(folder: Path) -> Path:
    path = folder / "rows"
    path.write_bytes(ROWS.tobytes())
    return path


def as_if(waits: bool) -> Callable[[], int]:
    """A count of waits that grows, or does not."""
    seen = count()
    return lambda: next(seen) if waits else 0


def opened(folder: Path) -> FileRows:
    return FileRows(written(folder), "<f4", ROWS.shape, np.float32)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=ANY, bounds=st.tuples(st.integers(-210, 210), st.integers(-210, 210)))
def test_every_way_reads_the_same_rows(
    tmp_path: Path, way: tuple[int, bool], chosen: list[int], bounds: tuple[int, int]
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stored, "MOST_MAPPED", way[0])
        patched.setattr(stored, "_waited", as_if(way[1]))
        rows = opened(tmp_path)
        places = np.array(chosen, dtype=np.int64)
        for _ in range(2):
            assert (rows.take(places, axis=0) == ROWS[places]).all()
        assert (rows[slice(*bounds)] == ROWS[slice(*bounds)]).all()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where the system was asked to read ahead."""
    found: list[int] = []
    monkeypatch.setattr(stored, "ADVISE", lambda file, place, *rest: found.append(place))
    monkeypatch.setattr(stored, "MOST_MAPPED", 0)
    return found


def test_what_came_quickly_is_not_asked_for_again(
    tmp_path: Path, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_waited", as_if(False))
    rows = opened(tmp_path)
    rows.take(np.array([7, 2, 9]))
    assert asked == [84, 24, 108]
    rows.take(np.array([3, 1]))
    assert asked == [84, 24, 108]


def test_what_had_to_be_waited_for_is_asked_for_all_at_once(
    tmp_path: Path, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after a time in which all was cached: as when others took the cache's memory."""
    rows = opened(tmp_path)
    monkeypatch.setattr(stored, "_waited", as_if(False))
    rows.take(np.array([7, 2]))
    monkeypatch.setattr(stored, "_waited", as_if(True))
    rows.take(np.array([5, 3]))
    del asked[:]
    rows.take(np.array([9, 1]))
    assert asked == [108, 12]


@pytest.mark.parametrize("waits", [True, False])
def test_rows_that_are_cut_off_meanwhile_are_told(
    tmp_path: Path, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "MOST_MAPPED", 0)
    monkeypatch.setattr(stored, "_waited", as_if(waits))
    rows = opened(tmp_path)
    rows.take(np.array([0, 199]))
    os.truncate(tmp_path / "rows", 1200)
    with pytest.raises(OSError, match="cut off while they were in use"):
        rows.take(np.array([0, 199]))


def test_a_file_of_another_size_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cut off or too long"):
        FileRows(written(tmp_path), "<f4", (201, 3), np.float32)


def test_who_waits_is_seen_to(tmp_path: Path) -> None:
    """By the system's own count; a read from its cache waits for nothing, but for a rare switch."""
    before = stored._waited()
    time.sleep(0.001)
    assert stored._waited() != before
    with written(tmp_path).open("rb") as rows:
        found = []
        for _ in range(20):
            before = stored._waited()
            os.pread(rows.fileno(), 12, 24)
            found.append(stored._waited() == before)
    assert any(found)
