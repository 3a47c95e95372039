"""A site trains ResNet-18 on images that lie in a file, and its 45 MB leave through the gate."""

from collections.abc import Callable

import numpy as np

from federation.learning.initial import initial_tensors
from federation.protocol.messages import Contribution, Reason
from federation.protocol.tensors import unpack
from federation.site.assembly import Site
from federation.site.folder import Folder
from tests.site.conftest import CONFIG, study
from tests.site.hub import Hub
from tests.site.playing import kinds, play_one, refused

IMAGES = {
    "columns": [{"name": "xray", "kind": "array", "shape": [1, 28, 28]}],
    "target": {"column": "sick", "classes": [["0"], ["1"]]},
}
ONE_STEP = {"sample_rate": 0.5, "local_steps": 1, "learning_rate": 0.1, "max_grad_norm": 1.0}


def with_images(folder: Folder) -> None:
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (8, 28, 28), dtype=np.uint8)
    np.savez(folder.path / "xrays.npz", xray=pixels, sick=np.arange(8) % 2)
    folder.config.write_text(CONFIG.replace("heart.csv", "xrays.npz"))


def test_a_round_of_resnet18(folder: Folder, hub: Hub, assembled: Callable[[Folder], Site]) -> None:
    with_images(folder)
    site = assembled(folder)
    protocol = study(data=IMAGES, model={"architecture": "resnet18"}, training=ONE_STEP)
    hub.approve(protocol)
    first = initial_tensors(protocol)
    uid = hub.assign(protocol, first)
    assert play_one(site, hub, uid)
    assert isinstance(hub.answer(uid, 0), Contribution)
    update = unpack(hub.tasks[uid].tensors[0], first)
    assert sum(array.size for array in update.values()) > 11_000_000
    assert all(np.any(array != 0) for array in update.values())
    assert kinds(site) == ["charged", "released", "acknowledged"]


def test_a_table_for_a_model_of_images_is_refused_before_any_charge(site: Site, hub: Hub) -> None:
    # The hub refuses such a protocol when it is saved; a site does not rely on it.
    protocol = study(model={"architecture": "cnn"})
    hub.approve(protocol)
    uid = hub.assign(protocol, {"weight": np.zeros((1, 4), np.float32)})
    assert refused(site, hub, uid).reason == Reason.MODEL_MISMATCH
    assert "charged" not in kinds(site)
