"""SCAFFOLD at a site: its control stays, is made of what left, and follows what the hub used."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from federation.learning import control, personal, training
from federation.protocol.document import Protocol
from federation.protocol.messages import Contribution, Reason
from federation.protocol.tensors import Tensors, pack, unpack
from federation.site.assembly import Site
from federation.site.folder import Folder
from federation.site.journal import Kind
from federation.site.kept import AFTER
from federation.site.outbox import Outbox
from federation.site.store import write_durably
from federation.site.worker import play
from tests.site.conftest import study
from tests.site.hub import Hub
from tests.site.playing import kept_file, kinds, play_one, refused
from tests.site.test_kill import ARROWS, die_when_writing, killed


@pytest.fixture
def protocol(hub: Hub) -> Protocol:
    made = study(aggregation={"strategy": "scaffold"})
    hub.approve(made)
    return made


@pytest.fixture
def corrected(monkeypatch: pytest.MonkeyPatch) -> list[Tensors]:
    """The correction of each training."""
    seen: list[Tensors] = []
    prepare = training.prepare

    def spied(*arguments: object) -> object:
        seen.append(arguments[5])
        return prepare(*arguments)

    monkeypatch.setattr(training, "prepare", spied)
    return seen


def everybodys(value: float) -> Tensors:
    """What the hub gives out: the first model, and a control of this value everywhere."""
    shared = personal.first(study()).shared
    return control.joined(shared, {n: np.full_like(a, value) for n, a in shared.items()})


def asked(hub: Hub, protocol: Protocol, number: int, after: str, value: float = 0.0, **more) -> str:
    given = everybodys(value)
    return hub.assign(protocol, given, round=number, parameters={AFTER: after}, **more)


def sent(hub: Hub, uid: str) -> Tensors:
    assert isinstance(hub.answer(uid, 0), Contribution)
    return unpack(hub.tasks[uid].tensors[0])


def left(folder: Folder, protocol: Protocol, uid: str) -> Tensors:
    return control.parted(unpack(kept_file(folder, protocol, uid).read_bytes()))[1]


def same(one: Tensors, other: Tensors) -> bool:
    return pack(one) == pack(other)


def test_the_first_round_is_not_corrected_and_nothing_more_leaves(
    site: Site, hub: Hub, folder: Folder, protocol: Protocol, corrected: list[Tensors]
) -> None:
    uid = asked(hub, protocol, 1, "")
    assert play_one(site, hub, uid)
    update = sent(hub, uid)
    assert set(update) == {"weight", "bias"}
    assert not any(array.any() for array in corrected[0].values())
    kept = left(folder, protocol, uid)
    assert same(kept, {name: -array for name, array in update.items()})


def test_the_next_is_corrected_by_all_sites_less_its_own(
    site: Site, hub: Hub, folder: Folder, protocol: Protocol, corrected: list[Tensors]
) -> None:
    first = asked(hub, protocol, 1, "")
    assert play_one(site, hub, first)
    second = asked(hub, protocol, 2, first, value=0.25)
    assert play_one(site, hub, second)
    own, update = left(folder, protocol, first), sent(hub, second)
    correction = {name: np.float32(0.25) - array for name, array in own.items()}
    assert same(corrected[1], correction)
    expected = {name: -update[name] - correction[name] for name in update}
    assert same(left(folder, protocol, second), expected)


def test_it_goes_on_from_what_the_hub_used_and_from_nothing_else(
    site: Site, hub: Hub, folder: Folder, protocol: Protocol, corrected: list[Tensors]
) -> None:
    """Attempt 1 of round 2 failed at the hub: attempt 2 begins where attempt 1 began."""
    first = asked(hub, protocol, 1, "")
    failed = asked(hub, protocol, 2, first)
    again = asked(hub, protocol, 2, first, attempt=2)
    for uid in (first, failed, again):
        assert play_one(site, hub, uid)
    assert same(corrected[1], corrected[2])
    assert not same(corrected[1], {n: -a for n, a in left(folder, protocol, failed).items()})
    unused = asked(hub, protocol, 3, "")  # nothing of this site was ever used
    assert play_one(site, hub, unused)
    assert not any(array.any() for array in corrected[3].values())


def test_what_is_lost_is_refused_before_any_charge(
    site: Site, hub: Hub, folder: Folder, protocol: Protocol
) -> None:
    uid = asked(hub, protocol, 1, "")
    assert play_one(site, hub, uid)
    charged = kinds(site).count("charged")
    for named in (uid, "0f" * 16):
        kept_file(folder, protocol, uid).write_bytes(b"damaged")
        answer = refused(site, hub, asked(hub, protocol, 2, named, attempt=int(named == uid) + 1))
        assert (answer.reason, answer.accessed) == (Reason.LOCAL_FAILURE, False)
    assert kinds(site).count("charged") == charged


@pytest.mark.parametrize(
    ("owner", "method", "by"), [row[1:4] for row in ARROWS], ids=[row[0] for row in ARROWS]
)
def test_whenever_it_is_killed_what_stays_belongs_to_what_left(
    folder: Folder,
    hub: Hub,
    assembled: Callable[[Folder], Site],
    protocol: Protocol,
    owner: type,
    method: str,
    by: object,
) -> None:
    """And the next round goes on from it, with one charge and one release for each."""
    uid = asked(hub, protocol, 1, "")
    deadly = die_when_writing(by) if type(by) is Kind else by
    killed(folder, hub.tasks[uid].envelope, owner, method, deadly)
    site = assembled(folder)
    assert play(site, hub.tasks[uid].envelope)
    update = sent(hub, uid)
    assert same(left(folder, protocol, uid), {name: -a for name, a in update.items()})
    following = asked(hub, protocol, 2, uid, value=0.5)
    assert play(site, hub.tasks[following].envelope)
    correction = {name: np.float32(0.5) + array for name, array in update.items()}
    expected = {name: -a - correction[name] for name, a in sent(hub, following).items()}
    assert same(left(folder, protocol, following), expected)
    assert kinds(site).count("charged") == kinds(site).count("released") == 2


def test_a_draw_that_was_thrown_away_is_not_the_one_that_stays(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site], protocol: Protocol
) -> None:
    uid = asked(hub, protocol, 1, "")
    killed(folder, hub.tasks[uid].envelope, Outbox, "store")
    thrown = left(folder, protocol, uid)
    assert play(assembled(folder), hub.tasks[uid].envelope)
    assert not same(left(folder, protocol, uid), thrown)


def test_a_thrown_draw_stays_thrown_when_a_backup_brings_it_back(
    folder: Folder,
    hub: Hub,
    assembled: Callable[[Folder], Site],
    protocol: Protocol,
    corrected: list[Tensors],
) -> None:
    uid = asked(hub, protocol, 1, "")
    killed(folder, hub.tasks[uid].envelope, Outbox, "store")
    path = kept_file(folder, protocol, uid)
    thrown = path.read_bytes()
    site = assembled(folder)
    assert play(site, hub.tasks[uid].envelope)
    path.write_bytes(thrown)
    assert play_one(site, hub, asked(hub, protocol, 2, uid))
    assert same(corrected[-1], sent(hub, uid))  # nothing less what it was minus


def test_a_folder_that_cannot_be_written_is_told_before_any_charge(
    site: Site, hub: Hub, folder: Folder, protocol: Protocol
) -> None:
    folder.kept.parent.mkdir(exist_ok=True)
    folder.kept.write_text("a file where a folder should be")
    with capture_logs() as logs:
        answer = refused(site, hub, asked(hub, protocol, 1, ""))
    assert (answer.reason, answer.accessed) == (Reason.LOCAL_FAILURE, False)
    assert "charged" not in kinds(site)
    assert any("correct the permissions" in line.get("why", "") for line in logs)


def test_what_cannot_be_kept_does_not_leave(
    site: Site, hub: Hub, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(path: Path, data: bytes) -> None:
        if path.suffix == ".safetensors":
            raise OSError(28, "No space left on device")
        write_durably(path, data)

    monkeypatch.setattr("federation.site.kept.write_durably", no_space)
    answer = refused(site, hub, asked(hub, protocol, 1, ""))
    assert (answer.reason, answer.accessed) == (Reason.LOCAL_FAILURE, True)


def test_a_hub_that_was_put_back_may_name_any_that_left(
    site: Site, hub: Hub, folder: Folder, protocol: Protocol, corrected: list[Tensors]
) -> None:
    first = after = asked(hub, protocol, 1, "")
    assert play_one(site, hub, first)
    for attempt in range(1, 8):
        after = asked(hub, protocol, 2, after, attempt=attempt)
        assert play_one(site, hub, after)
    restored = asked(hub, protocol, 2, first, attempt=8)
    assert play_one(site, hub, restored)
    assert same(corrected[-1], sent(hub, first))


def test_where_the_hub_names_none_the_control_begins_anew_and_own_layers_go_on(
    site: Site, hub: Hub, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Tensors, Tensors]] = []
    prepare = training.prepare

    def spied(*arguments: object) -> object:
        seen.append((arguments[1], arguments[5]))
        return prepare(*arguments)

    monkeypatch.setattr(training, "prepare", spied)
    model = {"architecture": "mlp", "parameters": {"hidden": [6]}, "personal_layers": 1}
    protocol = study(aggregation={"strategy": "scaffold"}, model=model)
    hub.approve(protocol)
    first = personal.first(protocol)
    one = hub.assign(protocol, first.given, parameters={AFTER: ""})
    assert play_one(site, hub, one)
    own, _ = control.parted(unpack(kept_file(folder, protocol, one).read_bytes()))
    two = hub.assign(protocol, first.given, round=2, parameters={AFTER: ""})
    assert play_one(site, hub, two)
    started, correction = seen[1]
    assert same({name: started[name] for name in own}, own)
    assert not any(array.any() for array in correction.values())


def test_the_site_evaluates_the_model_alone(site: Site, hub: Hub, protocol: Protocol) -> None:
    shared = personal.first(protocol).shared
    uid = hub.assign(protocol, shared, round=3, phase="evaluate")
    assert play_one(site, hub, uid)
    assert isinstance(hub.answer(uid, 0), Contribution)
    whole = hub.assign(protocol, everybodys(0.0), round=3, phase="evaluate", attempt=2)
    assert refused(site, hub, whole).reason == Reason.MODEL_MISMATCH


def test_own_layers_and_control_stay_together(
    site: Site, hub: Hub, folder: Folder, corrected: list[Tensors]
) -> None:
    model = {"architecture": "mlp", "parameters": {"hidden": [6]}, "personal_layers": 1}
    protocol = study(aggregation={"strategy": "scaffold"}, model=model)
    hub.approve(protocol)
    first = personal.first(protocol)
    one = hub.assign(protocol, first.given, parameters={AFTER: ""})
    assert play_one(site, hub, one)
    two = hub.assign(protocol, first.given, round=2, parameters={AFTER: one})
    assert play_one(site, hub, two)
    assert set(corrected[1]) == set(sent(hub, two)) == set(first.shared)
    own, kept = control.parted(unpack(kept_file(folder, protocol, two).read_bytes()))
    assert set(own) == set(first.own)
    assert set(kept) == set(first.shared)


def test_an_unknown_strategy_is_refused(site: Site, hub: Hub) -> None:
    strange = study(aggregation={"strategy": "fedsomething"})
    hub.approve(strange)
    answer = refused(site, hub, hub.assign(strange, personal.first(study()).shared))
    assert (answer.reason, answer.accessed) == (Reason.MODEL_MISMATCH, False)
