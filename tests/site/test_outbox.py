"""What a crash or a full disk left in the outbox goes with no answer."""

import errno
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import federation.site.outbox as module
from federation.protocol.canonical import digest
from federation.protocol.messages import Contribution, Reason
from federation.site.assembly import Site
from federation.site.folder import Folder
from federation.site.outbox import Outbox, Parcel
from federation.site.store import write_durably
from federation.site.worker import play
from tests.site.conftest import Clock, model, study
from tests.site.hub import Hub
from tests.site.playing import kinds, play_one, refused
from tests.site.test_kill import die, killed

LATER = datetime.now(UTC) + timedelta(hours=1)
PROTOCOL = study()


@pytest.fixture
def uid(hub: Hub) -> str:
    hub.approve(PROTOCOL)
    return hub.assign(PROTOCOL, model())


def answered(tensors: bytes | None) -> Parcel:
    """An answer that names the digest of its tensors, and a refusal, which names none."""
    named = {} if tensors is None else {"tensors_digest": digest(tensors)}
    return Parcel(json.dumps({"message": json.dumps(named)}).encode(), tensors)


def lost_at(name: str) -> Callable[[Path, bytes], None]:
    """Kills the process when it is to write the file of this name."""

    def write(path: Path, data: bytes) -> None:
        die() if path.name == name else write_durably(path, data)

    return write


@pytest.mark.parametrize("name", ["expires.json", "answer.json"])
def test_a_draw_that_a_crash_left_does_not_go_with_a_refusal(
    folder: Folder,
    hub: Hub,
    clock: Clock,
    assembled: Callable[[Folder], Site],
    uid: str,
    name: str,
) -> None:
    """The refusal is stored, its first sending fails, and it is sent again as stored."""
    killed(folder, hub.tasks[uid].envelope, module, "write_durably", lost_at(name))
    assert (folder.outbox / uid / "tensors.safetensors").exists()
    clock.offset = hub.skew = timedelta(minutes=10)
    site = assembled(folder)
    hub.fail_with["PUT contribution"] = 503
    assert not play_one(site, hub, uid)
    hub.fail_with.clear()
    assert refused(site, hub, uid).reason == Reason.EXPIRED
    assert kinds(site) == ["charged", "refused", "acknowledged"]
    assert not (folder.outbox / uid / "tensors.safetensors").exists()


def test_nor_does_one_that_a_full_disk_left(
    site: Site, hub: Hub, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [True]

    def write(path: Path, data: bytes) -> None:
        if path.name == "answer.json" and full:
            full.clear()
            raise OSError(errno.ENOSPC, "No space left on device")
        write_durably(path, data)

    monkeypatch.setattr(module, "write_durably", write)
    hub.fail_with["PUT contribution"] = 503
    assert not play_one(site, hub, uid)
    hub.fail_with.clear()
    assert refused(site, hub, uid).reason == Reason.LOCAL_FAILURE
    assert kinds(site) == ["charged", "refused", "acknowledged"]


def test_a_crash_before_the_answer_leads_to_one_new_draw(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site], uid: str
) -> None:
    killed(folder, hub.tasks[uid].envelope, module, "write_durably", lost_at("answer.json"))
    dead = (folder.outbox / uid / "tensors.safetensors").read_bytes()
    assert play(assembled(folder), hub.tasks[uid].envelope)
    assert isinstance(hub.answer(uid, 0), Contribution)
    assert hub.tasks[uid].tensors != [dead]


def test_a_refusal_takes_no_tensors_that_lie_beside_it(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox")
    outbox.store("a", answered(None), expires=LATER)
    (tmp_path / "outbox/a/tensors.safetensors").write_bytes(b"of an older worker")
    assert outbox.find("a") == answered(None)


@pytest.mark.parametrize("left", [b"of another draw", None])
def test_an_answer_without_its_own_tensors_is_none(tmp_path: Path, left: bytes | None) -> None:
    outbox = Outbox(tmp_path / "outbox")
    outbox.store("a", answered(b"drawn"), expires=LATER)
    assert outbox.find("a") == answered(b"drawn")
    file = tmp_path / "outbox/a/tensors.safetensors"
    file.unlink() if left is None else file.write_bytes(left)
    assert outbox.find("a") is None
