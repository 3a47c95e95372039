"""Kill −9 at each arrow of a round: one charge, one release, whatever the moment."""

import multiprocessing
import os
import signal
from collections.abc import Callable

import numpy as np
import pytest

from federation.learning import training
from federation.protocol.messages import Contribution, Refusal
from federation.protocol.tensors import unpack
from federation.site.assembly import Site, assemble
from federation.site.datasets import Datasets
from federation.site.folder import Folder
from federation.site.journal import Journal, Kind, read_entries
from federation.site.outbox import Outbox
from federation.site.transport.sending import Sending
from federation.site.worker import play
from tests.site.conftest import model, study
from tests.site.hub import Hub

# Forked, so that torch is loaded once for all of them; killed by the kernel all the same.
FORK = multiprocessing.get_context("fork")
DONE = ["charged", "released", "acknowledged"]
assert training  # loaded before the forks


def die(*arguments: object, **options: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_when_writing(kind: Kind) -> Callable[..., object]:
    append = Journal.append

    def instead(self: Journal, what: Kind, *arguments: object, **options: object) -> object:
        return die() if what is kind else append(self, what, *arguments, **options)

    return instead


def killed(folder: Folder, envelope: bytes, owner: type, method: str, by: object = die) -> None:
    """Play one assignment in a process that kills itself when `method` is called."""

    def run() -> None:
        setattr(owner, method, by)
        play(assemble(folder), envelope)

    process = FORK.Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def kinds(folder: Folder) -> list[str]:
    return [entry.kind for entry in read_entries(folder.journal)]


ARROWS = [
    ("before the charge", Journal, "append", die, []),
    ("charged, data not yet read", Datasets, "read", die, ["charged"]),
    ("computed, not yet stored", Outbox, "store", die, ["charged"]),
    ("stored, not yet journalled", Journal, "append", Kind.RELEASED, ["charged"]),
    ("journalled, not yet sent", Sending, "tensors", die, ["charged", "released"]),
    ("tensors sent, answer not", Sending, "answer", die, ["charged", "released"]),
    ("sent, not yet acknowledged", Journal, "append", Kind.ACKNOWLEDGED, ["charged", "released"]),
]


@pytest.mark.parametrize(
    ("owner", "method", "by", "left"), [row[1:] for row in ARROWS], ids=[row[0] for row in ARROWS]
)
def test_one_charge_and_one_release(
    folder: Folder,
    hub: Hub,
    assembled: Callable[[Folder], Site],
    owner: type,
    method: str,
    by: object,
    left: list[str],
) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    envelope = hub.tasks[uid].envelope
    killed(folder, envelope, owner, method, die_when_writing(by) if type(by) is Kind else by)
    assert kinds(folder) == left
    assert play(assembled(folder), envelope)
    assert isinstance(hub.answer(uid, 0), Contribution)
    assert kinds(folder) == DONE
    assert len(set(hub.tasks[uid].tensors)) == 1
    assert len(set(hub.tasks[uid].answers)) == 1


def test_the_stored_noise_is_the_one_that_leaves(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site]
) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    killed(folder, hub.tasks[uid].envelope, Sending, "tensors")
    stored = (folder.outbox / uid / "tensors.safetensors").read_bytes()
    assert play(assembled(folder), hub.tasks[uid].envelope)
    assert hub.tasks[uid].tensors == [stored]
    assert np.isfinite(unpack(stored, model())["weight"]).all()


def test_a_refusal_survives_a_kill_too(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site]
) -> None:
    (folder.path / "heart.csv").write_text("")
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    killed(folder, hub.tasks[uid].envelope, Sending, "answer")
    assert kinds(folder) == ["charged", "refused"]
    stored = (folder.outbox / uid / "answer.json").read_bytes()
    assert play(assembled(folder), hub.tasks[uid].envelope)
    assert hub.tasks[uid].answers == [stored]
    assert isinstance(hub.answer(uid, 0), Refusal)
    assert kinds(folder) == ["charged", "refused", "acknowledged"]
