"""Assignments answered in one process: the happy path, the retry, and failures of our own."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from structlog.testing import capture_logs

from accounting.dp.events import PrivacyEvent
from federation.protocol import plans
from federation.protocol.canonical import digest
from federation.protocol.messages import Contribution, Reason, Refusal
from federation.protocol.tensors import unpack
from federation.site.assembly import Site
from federation.site.folder import Folder
from federation.site.journal import Entry, JournalFull, Kind
from tests.site.conftest import Clock, model, patients, study
from tests.site.hub import Hub
from tests.site.playing import kinds, play_one, refused


def test_a_round_is_charged_computed_released_and_acknowledged(site: Site, hub: Hub) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    assert play_one(site, hub, uid)
    answer = hub.answer(uid, 0)
    assert isinstance(answer, Contribution)
    assert kinds(site) == ["charged", "released", "acknowledged"]
    charge = next(site.parts.journal.entries())
    planned = plans.round_events(protocol, 1, "north")["train"]
    assert answer.events == (planned.to_json(),)
    assert answer.journal == {"sequence": 1, "digest": charge.digest}
    assert charge.lineage == "heart-patients"
    update = unpack(hub.tasks[uid].tensors[0], model())
    assert answer.tensors_digest == digest(hub.tasks[uid].tensors[0])
    assert all(np.any(tensor != 0) for tensor in update.values())


def test_the_histogram_is_a_phase_with_its_own_price(site: Site, hub: Hub) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model(), round=3, phase="evaluate")
    assert play_one(site, hub, uid)
    answer = hub.answer(uid, 0)
    assert isinstance(answer, Contribution)
    assert answer.events == (plans.round_events(protocol, 3, "north")["evaluate"].to_json(),)
    like = {"histogram": np.zeros((10, 2), np.float32)}
    assert unpack(hub.tasks[uid].tensors[0], like)


def test_the_same_assignment_twice_gives_the_same_bytes_and_one_charge(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site]
) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    first = assembled(folder)
    assert play_one(first, hub, uid)
    assert play_one(first, hub, uid)
    first.parts.journal.close()
    second = assembled(folder)  # after a restart, too
    assert play_one(second, hub, uid)
    task = hub.tasks[uid]
    assert len(task.answers) == 3
    assert len(set(task.answers)) == len(set(task.tensors)) == 1
    assert kinds(second) == ["charged", "released", "acknowledged"]


def test_two_rounds_draw_different_noise_and_read_the_file_once(
    site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = study()
    hub.approve(protocol)
    first, second = (hub.assign(protocol, model(), round=number) for number in (1, 2))
    assert play_one(site, hub, first)
    monkeypatch.setattr("federation.site.datasets.encoded_blocks", None)
    assert play_one(site, hub, second)
    assert hub.tasks[first].tensors != hub.tasks[second].tensors
    assert kinds(site).count("charged") == 2


def test_a_changed_file_is_read_again(site: Site, hub: Hub, folder: Folder) -> None:
    protocol = study()
    hub.approve(protocol)
    assert play_one(site, hub, hub.assign(protocol, model()))
    (folder.path / "heart.csv").write_text(patients(20))
    assert play_one(site, hub, hub.assign(protocol, model(), round=2))
    (rows,) = site.parts.datasets._open.values()
    assert rows.train.n_units + rows.holdout.n_units == 20


def test_a_full_disk_computes_nothing_and_still_answers(
    site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(entry: Entry) -> None:
        raise JournalFull("no space")

    monkeypatch.setattr(site.parts.journal, "_insert", full)
    monkeypatch.setattr(site.parts.outbox, "store", no_space)
    monkeypatch.setattr("federation.site.datasets.encoded_blocks", None)  # opening data would fail
    protocol = study()
    hub.approve(protocol)
    answer = refused(site, hub, hub.assign(protocol, model()))
    assert (answer.reason, answer.accessed) == (Reason.JOURNAL_FULL, False)
    assert kinds(site) == []


def no_space(*arguments: object, **options: object) -> None:
    raise OSError(28, "No space left on device")


def test_an_answer_that_cannot_be_stored_does_not_leave(
    site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.parts.outbox, "store", no_space)
    protocol = study()
    hub.approve(protocol)
    answer = refused(site, hub, hub.assign(protocol, model()))
    assert (answer.reason, answer.accessed) == (Reason.LOCAL_FAILURE, True)


def test_the_text_of_a_failure_stays_inside(
    site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("patient 4711 is missing")

    monkeypatch.setattr("federation.site.datasets.encoded_blocks", fail)
    protocol = study()
    hub.approve(protocol)
    with capture_logs() as logs:
        answer = refused(site, hub, hub.assign(protocol, model()))
    assert (answer.reason, answer.accessed) == (Reason.LOCAL_FAILURE, True)
    assert "4711" not in str(logs)
    assert b"4711" not in hub.traffic()
    assert any(entry.get("kind") == "RuntimeError" for entry in logs)


def test_a_hub_that_goes_away_gets_the_stored_bytes_later(site: Site, hub: Hub) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    hub.fail_with["PUT contribution"] = 503
    assert not play_one(site, hub, uid)
    assert kinds(site) == ["charged", "released"]
    hub.fail_with.clear()
    assert play_one(site, hub, uid)
    first, second = hub.tasks[uid].tensors
    assert first == second
    assert kinds(site) == ["charged", "released", "acknowledged"]


@pytest.mark.parametrize(("status", "done"), [(409, True), (413, False)])
def test_a_rejected_answer_is_written_down(site: Site, hub: Hub, status: int, done: bool) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    hub.fail_with["PUT tensors"] = status
    assert play_one(site, hub, uid) is done
    last = list(site.parts.journal.entries())[-1]
    assert (last.kind, last.reason) == ("acknowledged", f"rejected {status}")


def test_released_bytes_that_are_gone_are_never_drawn_again(
    site: Site, hub: Hub, folder: Folder
) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    assert play_one(site, hub, uid)
    for path in (folder.outbox / uid).iterdir():
        path.unlink()
    assert play_one(site, hub, uid)
    answer = hub.answer(uid, 0)
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.accessed) == (Reason.LOCAL_FAILURE, True)
    assert len(hub.tasks[uid].tensors) == 1


def test_expired_answers_are_forgotten(
    folder: Folder, hub: Hub, clock: Clock, assembled: Callable[[Folder], Site]
) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    assert play_one(assembled(folder), hub, uid)
    assert assembled(folder).parts.outbox.find(uid) is not None
    clock.offset = timedelta(hours=1)
    assert assembled(folder).parts.outbox.find(uid) is None


def test_a_stop_in_the_middle_leaves_the_assignment_open(site: Site, hub: Hub) -> None:
    protocol = study()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    site.polling.stop()
    assert not play_one(site, hub, uid)
    assert kinds(site) == ["charged"]
    site.polling.stopping = False
    assert play_one(site, hub, uid)
    assert kinds(site) == ["charged", "released", "acknowledged"]


def test_the_offer_names_what_is_lent(site: Site, hub: Hub) -> None:
    site.parts.gate.offer(site.parts.config)
    (offer,) = hub.offers
    assert offer.datasets == [
        {"name": "heart", "lineage": "heart-patients", "epsilon": "20.0", "delta": "1e-05"}
    ]


def test_charges_are_never_fewer_than_releases(site: Site, hub: Hub) -> None:
    protocol = study()
    hub.approve(protocol)
    for number in (1, 2, 3):
        play_one(site, hub, hub.assign(protocol, model(), round=number))
    charged = site.parts.journal.charged_events(study="heart-study")
    assert charged == tuple(
        plans.round_events(protocol, number, "north")["train"] for number in (1, 2, 3)
    )
    assert all(isinstance(event, PrivacyEvent) for event in charged)
    assert kinds(site).count("charged") >= kinds(site).count("released")
    assert Kind.CHARGED in site.parts.journal.about(next(iter(hub.tasks)))
