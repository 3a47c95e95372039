"""Before a simulation starts its sites, every kind of file is held against the study to the end."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from federation.protocol.contract import ContractError
from federation.site.config import Dataset
from federation.site.fitting import check_file
from tests.site import sourcing
from tests.site.sourcing import contract, image, images, protocol
from tests.site.test_check_units import windows


@pytest.mark.parametrize("make", [sourcing.csv_file, sourcing.parquet_file])
def test_a_file_of_any_kind(tmp_path: Path, make: Callable[[Path], Dataset]) -> None:
    file = make(tmp_path).file
    assert file is not None
    check_file(file, protocol(contract(), holdout=0.99))
    narrow = contract(columns=[{"name": "age", "low": 0, "high": 99}])
    with pytest.raises(ContractError, match="column 'age': out of bounds"):
        check_file(file, protocol(narrow))


def test_a_folder_of_images(tmp_path: Path) -> None:
    image(tmp_path / "scans" / "ill" / "a.png", np.zeros((4, 5), np.uint8))
    check_file(tmp_path / "scans", protocol(images([1, 4, 5])))
    with pytest.raises(ContractError, match="another size"):
        check_file(tmp_path / "scans", protocol(images([1, 5, 5])))


def test_a_file_of_which_nobody_is_left(tmp_path: Path) -> None:
    (tmp_path / "series.csv").write_text("who,t,x,y\na,1,2,0\nb,1,2,1\n")
    with pytest.raises(ContractError, match="nobody is left to train on"):
        check_file(tmp_path / "series.csv", protocol(windows()))
