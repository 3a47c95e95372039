"""`check` finds before the charge what a round would find after it: no windows, nobody left."""

from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from federation.protocol.document import DataContract
from federation.protocol.messages import Contribution
from federation.site.assembly import Site
from federation.site.folder import Folder
from tests.site.conftest import study
from tests.site.hub import Hub
from tests.site.playing import answer_of
from tests.site.sourcing import lent
from tests.site.test_check_sources import said

NOBODY = "leaves nobody to train on"


def windows(**changes: object) -> DataContract:
    document = {
        "unit": "patient",
        "patient_column": "who",
        "max_rows_per_patient": 9,
        "columns": [{"name": "x", "low": 0, "high": 9, "missing": "drop"}],
        "target": {"column": "y", "classes": [[0], [1]]},
        "windows": {"length": 3, "order": ["t"]},
    }
    return DataContract.model_validate(document | changes)


def checked(folder: Path, lines: list[str], contract: DataContract) -> str:
    path = folder / "series.csv"
    path.write_text("\n".join(["who,t,x,y", *lines]) + "\n")
    (folder / "site" / "rows").mkdir(parents=True)
    found = said(folder, lent(path), contract)[1]
    assert list((folder / "site" / "rows").iterdir()) == []  # nothing of it stays
    return found


def test_windows_that_can_be_cut(tmp_path: Path) -> None:
    assert "fits" in checked(tmp_path, ["a,1,1,0", "a,2,2,0", "a,3,3,1"], windows())


def test_two_rows_at_one_time(tmp_path: Path) -> None:
    found = checked(tmp_path, ["a,1,1,0", "a,2,2,0", "a,2,3,1"], windows())
    assert found.startswith("✗")
    assert "column 't': two rows at one time" in found


@pytest.mark.parametrize(
    "lines", [["a,1,1,0", "a,2,2,0", "b,3,3,1"], ["a,1,,0", "a,2,,0", "a,3,,1"]]
)
def test_series_too_short_for_a_window(tmp_path: Path, lines: list[str]) -> None:
    found = checked(tmp_path, lines, windows())
    assert found.startswith("✗")
    assert NOBODY in found


@pytest.mark.parametrize("unit", ["row", "patient"])
def test_every_row_is_dropped(tmp_path: Path, unit: str) -> None:
    changes: dict[str, object] = {"windows": None}
    if unit == "row":
        changes |= {"unit": "row", "patient_column": None, "max_rows_per_patient": None}
    found = checked(tmp_path, ["a,1,,0", "b,2,,1"], windows(**changes))
    assert found.startswith("✗")
    assert NOBODY in found


def test_a_round_says_so_here_and_answers_as_ever(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site]
) -> None:
    """Whether anybody is in a round is theirs alone: the hub gets the noise that it paid for."""
    data = study().data.model_dump(mode="json")
    data["columns"][0]["missing"] = "drop"
    protocol = study(data=data)
    (folder.path / "heart.csv").write_text("age,pressure,pain,disease\n,100,none,0\n,90,some,1\n")
    site = assembled(folder)
    hub.approve(protocol)
    with capture_logs() as logs:
        assert isinstance(answer_of(site, hub, protocol, 1), Contribution)
    assert [line["log_level"] for line in logs if NOBODY in str(line)] == ["warning"]
    assert NOBODY.encode() not in hub.traffic()
