"""An audit at a site: coins drawn once, bound before training, and then exactly those revealed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from federation.protocol.audit import (
    COMMIT,
    REVEAL,
    Coins,
    Public,
    coins_of,
    commitment_of,
    committed,
    revealed,
    shape,
)
from federation.protocol.document import Protocol
from federation.protocol.messages import Assignment, Contribution, Reason, open_envelope
from federation.protocol.priced import Priced
from federation.protocol.tensors import Tensors, unpack
from federation.site.assembly import Site
from federation.site.coins import CoinBox, CoinsLost
from federation.site.egress import GateClosed
from federation.site.folder import Folder
from federation.site.journal import GENESIS, Kind, Slot
from tests.site.conftest import CONFIG, ROUNDS, model, study
from tests.site.hub import Hub
from tests.site.playing import kinds, play_one, refused
from tests.site.test_egress import EVENT

CANARIES = 24
PROTOCOL = study(audit={"canaries": CANARIES})


@pytest.fixture
def ask(site: Site, hub: Hub) -> Callable[..., str]:
    """ask(phase): an assignment of an audited study, with its id."""
    hub.approve(PROTOCOL)

    def assigned(phase: str, number: int | None = None, attempt: int = 1) -> str:
        number = number or (ROUNDS if phase == REVEAL else 1)
        return hub.assign(PROTOCOL, model(), round=number, phase=phase, attempt=attempt)

    return assigned


def left(hub: Hub, uid: str, protocol: Protocol = PROTOCOL) -> Tensors:
    """What left the site for one assignment, in the form of its phase."""
    message = open_envelope(hub.tasks[uid].answers[-1], hub.site_key or "", Contribution)
    return unpack(hub.tasks[uid].tensors[-1], shape(message.phase, protocol.canaries))


def test_the_commitment_is_32_bytes_without_a_price(
    site: Site, hub: Hub, ask: Callable[..., str]
) -> None:
    uid = ask(COMMIT)
    assert play_one(site, hub, uid)
    answer = hub.answer(uid, 0)
    assert isinstance(answer, Contribution)
    assert answer.events == ()
    assert answer.journal == {"sequence": 0, "digest": GENESIS}
    assert left(hub, uid)["commitment"].nbytes == 32
    assert kinds(site) == ["released", "acknowledged"]


def test_the_reveal_is_exactly_what_was_committed_to(
    site: Site, hub: Hub, ask: Callable[..., str]
) -> None:
    first, last = ask(COMMIT), ask(REVEAL)
    assert play_one(site, hub, first)
    assert play_one(site, hub, last)
    coins = coins_of(left(hub, last))
    coins.check(commitment_of(left(hub, first)))
    assert len(coins.flips) == CANARIES


def test_coins_outlive_a_restart_and_a_second_attempt(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site]
) -> None:
    hub.approve(PROTOCOL)
    commitments = set()
    for attempt in (1, 2):
        site = assembled(folder)
        uid = hub.assign(PROTOCOL, model(), phase=COMMIT, attempt=attempt)
        assert play_one(site, hub, uid)
        commitments.add(commitment_of(left(hub, uid)))
        site.parts.journal.close()
    assert len(commitments) == 1
    (file,) = folder.coins.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_canaries_that_are_in_train_beside_the_rows(
    site: Site, hub: Hub, ask: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    joined = site.parts.auditing.joined

    def watched(*arguments: Any) -> Any:
        found = joined(*arguments)
        seen.append(found.train.n_units - arguments[0].train.n_units)
        assert found.holdout is arguments[0].holdout
        return found

    monkeypatch.setattr(site.parts.auditing, "joined", watched)
    commit, reveal = ask(COMMIT), ask(REVEAL)
    for uid in (commit, ask("train"), ask("evaluate", ROUNDS), reveal):
        assert play_one(site, hub, uid)
    assert seen == [sum(coins_of(left(hub, reveal)).values), 0]


def test_a_site_that_never_committed_trains_without_canaries(
    site: Site, hub: Hub, ask: Callable[..., str]
) -> None:
    assert play_one(site, hub, ask("train"))
    assert kinds(site) == ["charged", "released", "acknowledged"]
    assert refused(site, hub, ask(REVEAL)).reason == Reason.LOCAL_FAILURE


def test_a_site_may_refuse_audits(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site]
) -> None:
    folder.config.write_text(CONFIG + '\naudits = "never"\n')
    site = assembled(folder)
    hub.approve(PROTOCOL)
    for phase, number in ((COMMIT, 1), (REVEAL, ROUNDS)):
        uid = hub.assign(PROTOCOL, model(), phase=phase, round=number)
        answer = refused(site, hub, uid)
        assert (answer.reason, answer.accessed) == (Reason.LIMIT_AUDITS, False)
    assert not folder.coins.exists()
    assert play_one(site, hub, hub.assign(PROTOCOL, model()))


def test_a_study_may_end_early_and_then_trains_no_more(
    site: Site, hub: Hub, ask: Callable[..., str]
) -> None:
    assert play_one(site, hub, ask(COMMIT))
    assert play_one(site, hub, ask("train"))
    uid = ask(REVEAL, 1)
    assert play_one(site, hub, uid)
    assert len(coins_of(left(hub, uid)).flips) == CANARIES
    later = refused(site, hub, ask("train", 2))
    assert (later.reason, later.accessed) == (Reason.NOT_APPROVED, False)
    assert kinds(site).count("charged") == 1


@pytest.mark.parametrize(("phase", "number"), [(COMMIT, 2), (REVEAL, ROUNDS + 1)])
def test_a_free_phase_has_its_rounds(
    site: Site, hub: Hub, ask: Callable[..., str], phase: str, number: int
) -> None:
    assert refused(site, hub, ask(phase, number)).reason == Reason.NOT_APPROVED


def test_a_protocol_without_audit_has_no_free_phase(site: Site, hub: Hub) -> None:
    plain = study()
    hub.approve(plain)
    uid = hub.assign(plain, model(), phase=COMMIT)
    assert refused(site, hub, uid).reason == Reason.NOT_APPROVED


def test_damaged_coins_are_told_and_never_drawn_anew(
    folder: Folder, site: Site, hub: Hub, ask: Callable[..., str]
) -> None:
    assert play_one(site, hub, ask(COMMIT))
    (file,) = folder.coins.iterdir()
    file.write_text("{}")
    with pytest.raises(CoinsLost, match="restore it from a backup"):
        CoinBox(folder.coins).draw("heart-study", PROTOCOL.digest, CANARIES)
    assert refused(site, hub, ask(REVEAL)).reason == Reason.LOCAL_FAILURE
    assert play_one(site, hub, ask("train"))


def test_coins_are_the_operating_systems(folder: Folder) -> None:
    asked: list[int] = []

    def zeros(count: int) -> bytes:
        asked.append(count)
        return bytes(count)

    coins = CoinBox(folder.coins, zeros).draw("heart-study", "d" * 64, CANARIES)
    assert asked == [CANARIES, 32]
    assert coins == Coins("0" * CANARIES, bytes(32))
    fair = [sum(CoinBox(folder.coins).draw(f"s{n}", "d" * 64, 400).values) for n in range(20)]
    assert 3600 < sum(fair) < 4400


COINS = Coins("01" * 12, b"s" * 32)


class Lookalike(Public):
    """A subclass could carry anything."""


def swapped(tensors: Tensors, **changes: np.ndarray) -> Public:
    return Public(tensors | changes)


BAD: dict[str, tuple[str, Any]] = {
    "bare tensors": (COMMIT, committed(COINS).tensors),
    "a look-alike": (COMMIT, Lookalike(committed(COINS).tensors)),
    "a priced value": (COMMIT, Priced(committed(COINS).tensors, (EVENT,))),
    "33 bytes": (COMMIT, Public({"commitment": np.zeros(33, np.uint8)})),
    "words instead of bytes": (COMMIT, Public({"commitment": np.zeros(32, np.float32)})),
    "a stowaway": (COMMIT, swapped(committed(COINS).tensors, rows=np.zeros(1, np.uint8))),
    "the coins too early": (COMMIT, revealed(COINS)),
    "an update without a price": ("train", Public(model())),
    "coins nobody committed to": (REVEAL, revealed(COINS)),
    "more than a coin": (
        REVEAL,
        swapped(revealed(COINS).tensors, coins=np.full(CANARIES, 7, np.uint8)),
    ),
    "one coin more": (REVEAL, swapped(revealed(COINS).tensors, coins=np.zeros(25, np.uint8))),
}


@pytest.mark.parametrize("name", BAD)
def test_nothing_else_leaves_without_a_price(
    site: Site, hub: Hub, ask: Callable[..., str], name: str
) -> None:
    assert play_one(site, hub, ask(COMMIT))
    before, entries = len(hub.seen), kinds(site)
    phase, value = BAD[name]
    uid = ask(phase, attempt=2)
    assignment = open_envelope(hub.tasks[uid].envelope, hub.key.public, Assignment)
    slot = Slot("heart-study", assignment.round, 2, phase, uid, "0" * 64)
    like = model() if phase == "train" else shape(phase, CANARIES)
    with pytest.raises(GateClosed):
        site.parts.gate.publish(assignment, slot, like, value)
    assert len(hub.seen) == before
    assert kinds(site) == entries
    assert Kind.RELEASED not in site.parts.journal.about(uid)
