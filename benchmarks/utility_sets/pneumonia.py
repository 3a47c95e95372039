"""Pneumonia or not, from chest X-rays of children, 28 × 28; published training and test images.

The file names no institutions; its images are dealt to four uneven sites by a public coin. It does
not say whose an image is either, so the unit is an image: a child with two counts twice.
"""

from pathlib import Path

import numpy as np

from benchmarks.utility_rows import dealt
from benchmarks.utility_sets import DataSet, Settings, Site
from federation.protocol.cells import Arrays, Numbers
from federation.protocol.contract import Encoded, encode
from federation.protocol.document import DataContract

CONTRACT = {
    "columns": [{"name": "image", "kind": "array", "shape": [1, 28, 28], "low": 0, "high": 255}],
    "target": {"column": "label", "classes": [["0"], ["1"]], "names": ["normal", "pneumonia"]},
}
SHARES = {"clinic-a": 0.4, "clinic-b": 0.3, "clinic-c": 0.2, "clinic-d": 0.1}
Part = tuple[np.ndarray, np.ndarray]


def load(folder: Path) -> dict[str, Site]:
    """The four sites; the published validation images are training images here."""
    with np.load(folder / "pneumonia" / "pneumonia.npz") as file:
        train = tuple(
            np.concatenate([file[f"train_{kind}"], file[f"val_{kind}"]])
            for kind in ("images", "labels")
        )
        test = (file["test_images"], file["test_labels"])
    train_sites, test_sites = _sites(train), _sites(test)
    return {name: Site(_encoded(train_sites[name]), _encoded(test_sites[name])) for name in SHARES}


def _sites(part: Part) -> dict[str, Part]:
    images, labels = part
    owner = np.array([dealt(image.tobytes().hex(), SHARES) for image in images])
    return {name: (images[owner == name], labels[owner == name]) for name in SHARES}


def _encoded(part: Part) -> Encoded:
    images, labels = part
    columns = {
        "image": Arrays(images.reshape(len(images), -1)),
        "label": Numbers(labels[:, 0].astype(np.float64), np.zeros(len(labels), dtype=bool)),
    }
    return encode(columns, DataContract.model_validate(CONTRACT), keyed_order=None)


def _chosen(rounds: int, learning_rate: float) -> Settings:
    return Settings(rounds, learning_rate, sample_rate=0.1)


# GroupNorm and tanh: the best of five small CNNs at ε = 8, on a fifth of the training images.
SMALL = {"channels": [8, 16], "hidden": 0, "normalisation": "group"}
SET = DataSet(
    title="pneumonia",
    delta=1e-5,
    contract=CONTRACT,
    load=load,
    models={
        "logistic": {"architecture": "logistic"},
        "small CNN": {"architecture": "cnn", "parameters": SMALL},
    },
    settings={
        "logistic": {np.inf: _chosen(120, 4), 8.0: _chosen(120, 4), 1.0: _chosen(120, 1)},
        "small CNN": {np.inf: _chosen(150, 2), 8.0: _chosen(150, 2), 1.0: _chosen(60, 1)},
    },
)
