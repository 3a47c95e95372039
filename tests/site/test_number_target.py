"""A site learns a number from its files, and measures its errors on the rows held out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from federation.learning.initial import initial_tensors
from federation.protocol.contract import encode, read_csv
from federation.protocol.document import DataContract, Protocol
from federation.protocol.messages import Contribution
from federation.protocol.tensors import unpack
from federation.site.assembly import Site
from federation.site.folder import Folder
from tests.site.conftest import study
from tests.site.hub import Hub
from tests.site.playing import kinds, play_one
from tests.site.sourcing import SECRET, lent
from tests.site.test_rowstore import bag, stored

ILI = {"column": "ili", "kind": "number", "low": 0, "high": 100, "unit": "%"}
WEEKLY = DataContract.model_validate(
    {
        "unit": "patient",
        "patient_column": "region",
        "max_rows_per_patient": 1000,
        "columns": [{"name": "ili", "low": 0, "high": 100}],
        "target": ILI,
        "windows": {"length": 6, "horizon": 1, "order": ["week"]},
    }
)


def series(regions: int = 12, weeks: int = 40) -> str:
    lines = [
        f"r{region},{week},{50 + 40 * np.sin(week / 4 + region):.3f}"
        for week in range(weeks)
        for region in range(regions)
    ]
    return "\n".join(["region,week,ili", *lines]) + "\n"


def weekly_study() -> Protocol:
    return study(data=WEEKLY.model_dump(mode="json"), model={"architecture": "lstm"})


def test_files_hold_the_numbers_that_memory_would(tmp_path: Path) -> None:
    path = tmp_path / "ili.csv"
    path.write_text(series())
    whole = encode(read_csv(path, WEEKLY), WEEKLY, keyed_order=SECRET)
    split = stored(tmp_path, lent(path), WEEKLY, holdout=0.4)
    assert split.train.targets[:1].dtype == np.float32
    assert bag(split.train) + bag(split.holdout) == bag(whole)
    assert len(whole.targets) == 12 * 34


def test_files_hold_forecasts_of_several_rows(tmp_path: Path) -> None:
    path = tmp_path / "ili.csv"
    path.write_text(series())
    document = WEEKLY.model_dump(mode="json")
    document["windows"]["ahead"] = 4
    declared = DataContract.model_validate(document)
    whole = encode(read_csv(path, declared), declared, keyed_order=SECRET)
    split = stored(tmp_path, lent(path), declared, holdout=0.4)
    assert whole.targets.shape == (12 * 31, 4)
    assert split.train.targets[:1].shape == (1, 4)
    assert bag(split.train) + bag(split.holdout) == bag(whole)


def test_rows_that_are_units_keep_their_numbers_too(tmp_path: Path) -> None:
    path = tmp_path / "ili.csv"
    path.write_text("age,ili\n1,0\n2,25\n3,100\n")
    data = DataContract.model_validate(
        {"columns": [{"name": "age", "low": 0, "high": 10}], "target": ILI}
    )
    found = stored(tmp_path, lent(path), data, holdout=0.0).train
    assert found.targets[:].tolist() == [-1, -0.5, 1]


def test_an_lstm_forecasts_at_a_site_and_its_errors_leave_as_one_histogram(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site]
) -> None:
    (folder.path / "heart.csv").write_text(series())
    site, protocol = assembled(folder), weekly_study()
    hub.approve(protocol)
    first = initial_tensors(protocol)
    train = hub.assign(protocol, first)
    assert play_one(site, hub, train)
    assert isinstance(hub.answer(train, 0), Contribution)
    update = unpack(hub.tasks[train].tensors[0], first)
    assert all(np.any(array) for array in update.values())
    evaluate = hub.assign(protocol, first, round=3, phase="evaluate")
    assert play_one(site, hub, evaluate)
    like = {"histogram": np.zeros((10, 2), np.float32)}
    assert unpack(hub.tasks[evaluate].tensors[0], like)
    assert kinds(site) == ["charged", "released", "acknowledged"] * 2
