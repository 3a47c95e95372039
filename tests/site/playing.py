"""Hands assignments to a site in this process and reads what came of them."""

from pathlib import Path

from federation.protocol.document import Protocol
from federation.protocol.messages import Contribution, Refusal
from federation.site.assembly import Site
from federation.site.folder import Folder
from federation.site.worker import play
from tests.site.conftest import model
from tests.site.hub import Hub


def kinds(site: Site) -> list[str]:
    return [entry.kind for entry in site.parts.journal.entries()]


def kept_file(folder: Folder, protocol: Protocol, uid: str) -> Path:
    """What the newest computation of an assignment of the heart study left."""
    found = (folder.kept / f"heart-study.{protocol.digest}").glob(f"{uid}.*")
    return max(found, key=lambda path: path.stat().st_mtime_ns)


def play_one(site: Site, hub: Hub, uid: str) -> bool:
    return play(site, hub.tasks[uid].envelope)


def refused(site: Site, hub: Hub, uid: str) -> Refusal:
    assert play_one(site, hub, uid)
    answer = hub.answer(uid, 0)
    assert isinstance(answer, Refusal)
    assert hub.tasks[uid].tensors == []
    return answer


def answer_of(site: Site, hub: Hub, protocol: object, number: int) -> Contribution | Refusal:
    uid = hub.assign(protocol, model(), round=number)
    assert play_one(site, hub, uid)
    return hub.answer(uid, 0)
