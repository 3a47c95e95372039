"""Personalised last layers: trained here, kept here, and nowhere in what leaves."""

from collections.abc import Callable

import numpy as np
import pytest
from structlog.testing import capture_logs

from federation.learning import evaluation, personal, training
from federation.learning.initial import initial_tensors
from federation.protocol.document import Protocol
from federation.protocol.messages import Contribution, Reason
from federation.protocol.priced import Made, Priced
from federation.protocol.tensors import Tensors, pack, unpack
from federation.site.assembly import Site
from federation.site.folder import Folder
from federation.site.journal import Journal, Kind
from federation.site.outbox import Outbox
from federation.site.worker import play
from tests.site.conftest import study
from tests.site.hub import Hub
from tests.site.playing import kept_file, play_one, refused
from tests.site.test_kill import die_when_writing, killed

OWN = {"2.weight", "2.bias"}


def personalised(**changes: object) -> Protocol:
    """Six inputs, one hidden layer that is shared, and an output layer of the site's own."""
    model = {"architecture": "mlp", "parameters": {"hidden": [6]}, "personal_layers": 1}
    return study(**{"model": model} | changes)


@pytest.fixture
def protocol(hub: Hub) -> Protocol:
    made = personalised()
    hub.approve(made)
    return made


@pytest.fixture
def began(monkeypatch: pytest.MonkeyPatch) -> list[Tensors]:
    """The whole model of each training, as it began."""
    seen: list[Tensors] = []
    prepare = training.prepare

    def spied(protocol: Protocol, tensors: Tensors, *more: object) -> object:
        seen.append(tensors)
        return prepare(protocol, tensors, *more)

    monkeypatch.setattr(training, "prepare", spied)
    return seen


def asked(hub: Hub, protocol: Protocol, number: int = 1, **changes: object) -> str:
    return hub.assign(protocol, personal.first(protocol).shared, round=number, **changes)


def file_of(folder: Folder, protocol: Protocol, uid: str) -> bytes:
    return kept_file(folder, protocol, uid).read_bytes()


def same(one: Tensors, other: Tensors) -> bool:
    return pack(one) == pack(other)


def test_own_layers_are_trained_and_never_leave(
    site: Site, hub: Hub, folder: Folder, protocol: Protocol
) -> None:
    uid = asked(hub, protocol)
    assert play_one(site, hub, uid)
    assert isinstance(hub.answer(uid, 0), Contribution)
    first = personal.first(protocol)
    sent = unpack(hub.tasks[uid].tensors[0])
    assert set(sent) == set(first.shared)
    assert not OWN & set(sent)
    kept = unpack(file_of(folder, protocol, uid), first.own)
    assert set(kept) == OWN
    assert all(np.any(kept[name] != first.own[name]) for name in OWN)
    traffic = hub.traffic()
    for array in kept.values():
        assert array.tobytes() not in traffic
        assert all(number.tobytes() not in hub.tasks[uid].tensors[0] for number in array.ravel())


def test_a_round_begins_where_the_last_one_left_them(
    site: Site, hub: Hub, folder: Folder, protocol: Protocol, began: list[Tensors]
) -> None:
    first, second = asked(hub, protocol), asked(hub, protocol, 2)
    assert play_one(site, hub, first)
    assert play_one(site, hub, second)
    assert same(began[0], initial_tensors(protocol))
    left = unpack(file_of(folder, protocol, first))
    assert same({name: began[1][name] for name in OWN}, left)


def test_the_site_evaluates_with_its_own_layers(
    site: Site, hub: Hub, folder: Folder, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensors] = []
    histogram = evaluation.histogram

    def spied(*, tensors: Tensors, **more: object) -> Priced:
        seen.append(tensors)
        return histogram(tensors=tensors, **more)

    monkeypatch.setattr(evaluation, "histogram", spied)
    trained = asked(hub, protocol, 3)
    assert play_one(site, hub, trained)
    evaluated = asked(hub, protocol, 3, phase="evaluate")
    assert play_one(site, hub, evaluated)
    assert isinstance(hub.answer(evaluated, 0), Contribution)
    (model,) = seen
    assert same({n: model[n] for n in OWN}, unpack(file_of(folder, protocol, trained)))


def test_a_draw_that_a_kill_threw_away_leads_to_nothing(
    folder: Folder,
    hub: Hub,
    assembled: Callable[[Folder], Site],
    protocol: Protocol,
    began: list[Tensors],
) -> None:
    uid = asked(hub, protocol)
    killed(folder, hub.tasks[uid].envelope, Outbox, "store")
    thrown = file_of(folder, protocol, uid)
    assert play(assembled(folder), hub.tasks[uid].envelope)
    assert same(began[-1], initial_tensors(protocol))
    assert file_of(folder, protocol, uid) != thrown


def test_layers_of_a_stored_answer_survive_a_kill(
    folder: Folder,
    hub: Hub,
    assembled: Callable[[Folder], Site],
    protocol: Protocol,
    began: list[Tensors],
) -> None:
    uid = asked(hub, protocol)
    by = die_when_writing(Kind.RELEASED)
    killed(folder, hub.tasks[uid].envelope, Journal, "append", by)
    stored = file_of(folder, protocol, uid)
    site = assembled(folder)
    assert play(site, hub.tasks[uid].envelope)
    assert began == []  # the stored answer was sent again, nothing was drawn
    assert play_one(site, hub, asked(hub, protocol, 2))
    assert pack({name: began[0][name] for name in OWN}) == stored


def test_damaged_layers_are_passed_over_and_told(
    site: Site, hub: Hub, folder: Folder, protocol: Protocol, began: list[Tensors]
) -> None:
    first, second = asked(hub, protocol), asked(hub, protocol, 2)
    assert play_one(site, hub, first)
    assert play_one(site, hub, second)
    path = kept_file(folder, protocol, second)
    path.write_bytes(path.read_bytes()[:-3])
    with capture_logs() as logs:
        assert play_one(site, hub, asked(hub, protocol, 3))
    assert same({n: began[2][n] for n in OWN}, unpack(file_of(folder, protocol, first)))
    assert [line["event"] for line in logs].count("own_layers_damaged") == 1


def test_a_thrown_draw_stays_thrown_when_a_backup_brings_it_back(
    folder: Folder,
    hub: Hub,
    assembled: Callable[[Folder], Site],
    protocol: Protocol,
    began: list[Tensors],
) -> None:
    uid = asked(hub, protocol)
    killed(folder, hub.tasks[uid].envelope, Outbox, "store")
    path = kept_file(folder, protocol, uid)
    thrown = path.read_bytes()
    site = assembled(folder)
    assert play(site, hub.tasks[uid].envelope)
    released = file_of(folder, protocol, uid)
    path.write_bytes(thrown)
    began.clear()
    assert play_one(site, hub, asked(hub, protocol, 2))
    assert pack({name: began[0][name] for name in OWN}) == released != thrown


def test_another_protocol_begins_anew(
    site: Site, hub: Hub, protocol: Protocol, began: list[Tensors]
) -> None:
    assert play_one(site, hub, asked(hub, protocol))
    other = personalised(purpose="changed")
    hub.approve(other)
    assert play_one(site, hub, asked(hub, other, 2))
    assert same(began[1], initial_tensors(other))


def test_only_the_newest_files_stay(
    site: Site, hub: Hub, folder: Folder, protocol: Protocol
) -> None:
    asked_for = [asked(hub, protocol, attempt=attempt) for attempt in range(1, 8)]
    for uid in asked_for:
        assert play_one(site, hub, uid)
    left = (folder.kept / f"heart-study.{protocol.digest}").iterdir()
    assert {path.name.partition(".")[0] for path in left} == set(asked_for[-5:])


def test_the_gate_lets_no_own_layer_out(
    site: Site, hub: Hub, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = training.trained

    def careless(**options: object) -> Made:
        made = trained(**options)
        return Made(Priced(made.priced.tensors | made.kept, made.priced.events), made.kept)

    monkeypatch.setattr(training, "trained", careless)
    answer = refused(site, hub, asked(hub, protocol))
    assert (answer.reason, answer.accessed) == (Reason.LOCAL_FAILURE, True)


def test_a_hub_that_sends_a_whole_model_is_refused(
    site: Site, hub: Hub, protocol: Protocol
) -> None:
    answer = refused(site, hub, hub.assign(protocol, initial_tensors(protocol)))
    assert (answer.reason, answer.accessed) == (Reason.MODEL_MISMATCH, False)


def test_a_model_that_is_shared_whole_keeps_nothing(site: Site, hub: Hub, folder: Folder) -> None:
    plain = personalised(model={"architecture": "mlp"})
    hub.approve(plain)
    assert play_one(site, hub, asked(hub, plain))
    assert not folder.kept.exists()
