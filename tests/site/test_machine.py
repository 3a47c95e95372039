"""A site says of which class its machine is, and trains and pays by that class's plan alone."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from accounting.dp.events import PrivacyEvent
from federation.learning.alone import trained_alone
from federation.learning.training import Session
from federation.protocol import plans
from federation.protocol.contract import encode, read_csv
from federation.protocol.document import Protocol
from federation.protocol.messages import Contribution, Offer, Reason, open_envelope
from federation.protocol.tensors import unpack
from federation.site.assembly import Site
from federation.site.check import check
from federation.site.config import ConfigError, Machine, SiteConfig, read_config
from federation.site.folder import Folder
from federation.site.transport.client import RequestRejected
from tests.site import hub as module
from tests.site.conftest import CONFIG, model, study
from tests.site.hub import Hub
from tests.site.playing import kinds, play_one, refused

SMALL = '[machine]\nclass = "small"\n'


def planned(machine: str | None = "small", **classes: Any) -> Protocol:
    """A sealed protocol that counts North in `machine` and South in none."""
    document = plans.unsealed(study()).model_dump(mode="json")
    document["training"]["classes"] = classes or {"small": {"local_steps": 2, "sample_rate": 0.25}}
    document["cohort"][0]["machine"] = machine
    return plans.seal(Protocol.model_validate(document))


@pytest.fixture
def small(folder: Folder, assembled: Callable[[Folder], Site]) -> Site:
    folder.config.write_text(CONFIG + SMALL)
    return assembled(folder)


def config(folder: Folder, text: str) -> SiteConfig:
    folder.config.write_text(CONFIG + text)
    return read_config(folder)


# site.toml.


def test_a_site_that_says_nothing_has_no_class(folder: Folder) -> None:
    assert read_config(folder).machine == Machine()
    assert read_config(folder).machine.kind is None


def test_the_class_decides_the_memory_unless_the_site_does(folder: Folder) -> None:
    sizes = [
        config(folder, f'[machine]\nclass = "{name}"\n').machine.chunk_bytes
        for name in ("small", "standard", "large", "accelerated")
    ]
    assert sizes == sorted(sizes)
    assert config(folder, "").machine.chunk_bytes == sizes[1]
    assert config(folder, SMALL + "chunk_mib = 3\n").machine.chunk_bytes == 3 << 20


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('class = "tiny"', r"machine\.class: .*'small', 'standard'"),
        ('kind = "small"', r"machine\.kind: .*remove the key"),
        ("chunk_mib = 0", r"machine\.chunk_mib: "),
    ],
)
def test_a_mistake_is_told_with_its_key(folder: Folder, text: str, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        config(folder, f"[machine]\n{text}\n")


def test_the_offer_says_the_class_and_not_the_memory(small: Site, hub: Hub) -> None:
    small.parts.gate.offer(small.parts.config)
    (offer,) = hub.offers
    assert offer.machine == "small"
    assert b"chunk" not in hub.traffic()


def offers_to_an_older_hub(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, said: str = "unexpected key 'machine'"
) -> list[dict[str, Any]]:
    """What comes; like a hub of before, it refuses what names a machine."""
    came: list[dict[str, Any]] = []

    def put(self: object, parts: list[str], query: str, body: bytes) -> tuple[int, bytes]:
        offer = open_envelope(body, hub.site_key, Offer).to_json()
        came.append(offer)
        return (400, json.dumps({"error": said}).encode()) if "machine" in offer else (204, b"")

    monkeypatch.setattr(module._Handler, "_put_offer", put)
    return came


def test_an_older_hub_gets_the_offer_without_the_class(
    small: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = offers_to_an_older_hub(hub, monkeypatch)
    with capture_logs() as logs:
        small.parts.gate.offer(small.parts.config)
    assert [offer.pop("machine", None) for offer in came] == ["small", None]
    assert came[0] == came[1]
    (line,) = [entry for entry in logs if entry["event"] == "hub_takes_no_machine_class"]
    assert "unexpected key 'machine'" in line["why"]


@pytest.mark.parametrize(("status", "tries"), [(400, 2), (404, 1), (413, 1)])
def test_another_refusal_of_the_offer_stays_one(
    small: Site, hub: Hub, status: int, tries: int
) -> None:
    hub.fail_with["PUT offer"] = status
    with pytest.raises(RequestRejected):
        small.parts.gate.offer(small.parts.config)
    assert len([seen for seen in hub.seen if "offer" in seen.path]) == tries


def test_an_offer_without_a_class_is_not_sent_twice(site: Site, hub: Hub) -> None:
    hub.fail_with["PUT offer"] = 400
    with pytest.raises(RequestRejected):
        site.parts.gate.offer(site.parts.config)
    assert len([seen for seen in hub.seen if "offer" in seen.path]) == 1


# A round.


def test_it_trains_and_pays_by_its_own_plan(small: Site, hub: Hub) -> None:
    protocol = planned()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    assert play_one(small, hub, uid)
    answer = hub.answer(uid, 0)
    assert isinstance(answer, Contribution)
    event = plans.round_events(protocol, 1, "north")["train"]
    assert (event.steps, event.sample_rate, event.batch_denominator) == (2, 0.25, 15.0)
    assert answer.events == (event.to_json(),)
    (charge, *_) = small.parts.journal.entries()
    assert PrivacyEvent.from_json(json.loads(charge.event)) == event
    assert unpack(hub.tasks[uid].tensors[0], model())


def test_a_site_of_no_class_trains_as_if_there_were_none(site: Site, hub: Hub) -> None:
    protocol = planned(machine=None)
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    assert play_one(site, hub, uid)
    expected = plans.round_events(plans.seal(plans.unsealed(study())), 1, "north")["train"]
    assert hub.answer(uid, 0).events == (expected.to_json(),)


def test_a_class_that_a_study_does_not_plan_by_changes_nothing(small: Site, hub: Hub) -> None:
    hub.approve(study())
    uid = hub.assign(study(), model())
    assert play_one(small, hub, uid)
    assert hub.answer(uid, 0).events[0]["steps"] == 4


def test_a_histogram_of_a_class_is_released(small: Site, hub: Hub) -> None:
    protocol = planned()
    hub.approve(protocol)
    uid = hub.assign(protocol, model(), round=3, phase="evaluate")
    assert play_one(small, hub, uid)
    assert isinstance(hub.answer(uid, 0), Contribution)


@pytest.mark.parametrize("approved", [None, "large"])
def test_another_class_than_the_approved_is_refused_before_any_row(
    small: Site, hub: Hub, approved: str | None
) -> None:
    protocol = planned(machine=approved)
    hub.approve(protocol)
    answer = refused(small, hub, hub.assign(protocol, model()))
    assert (answer.reason, answer.accessed) == (Reason.NOT_APPROVED, False)
    assert kinds(small) == ["refused", "acknowledged"]


def test_check_says_whether_the_class_is_the_approved_one(
    small: Site, hub: Hub, folder: Folder
) -> None:
    protocol = planned()
    hub.approve(protocol)
    assert play_one(small, hub, hub.assign(protocol, model()))

    def found() -> list[tuple[bool, str]]:
        return [(each.good, each.text) for each in check(folder) if "machine" in each.what]

    assert found() == [(True, "small, as it was planned for")]
    folder.config.write_text(CONFIG)
    ((good, text),) = found()
    assert not good
    assert "machine.class 'nothing', but a plan for 'small' was approved: change it back" in text


def test_the_local_baseline_makes_the_steps_of_the_class(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[float] = []
    step = Session.step

    def watched(self: Session) -> None:
        steps.append(self.sample_rate)
        step(self)

    monkeypatch.setattr(Session, "step", watched)
    contract = planned().data
    data = encode(read_csv(folder.path / "heart.csv", contract), contract, keyed_order=None)
    trained_alone(planned(), "north", data, noised=True, round_done=lambda number: None)
    assert steps == [0.25] * 2 * 3


def test_the_limits_are_held_against_the_plan_of_the_class(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site]
) -> None:
    """The same limit holds a small machine's plan and not the one of everybody else."""
    protocol = planned(small={"local_steps": 1, "sample_rate": 0.05})
    limit = 'max_epsilon_per_study = 1.5\n[machine]\nclass = "small"\n'
    folder.config.write_text(CONFIG.replace("max_epsilon_per_study = 12.0\n", limit))
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    assert play_one(assembled(folder), hub, uid)
    assert isinstance(hub.answer(uid, 0), Contribution)
    assert float(protocol.plan.epsilon) > 1.5 > float(protocol.plan.classes["small"].epsilon)


def test_the_sites_own_memory_bounds_a_chunk_and_changes_no_price(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    step = Session.step

    def watched(self: Session) -> None:
        seen.append(self.chunk_bytes)
        step(self)

    monkeypatch.setattr(Session, "step", watched)
    folder.config.write_text(f"{CONFIG}{SMALL}chunk_mib = 2\n")
    protocol = planned()
    hub.approve(protocol)
    uid = hub.assign(protocol, model())
    assert play_one(assembled(folder), hub, uid)
    assert seen == [2 << 20] * 2
    event = plans.round_events(protocol, 1, "north")["train"].to_json()
    assert hub.answer(uid, 0).events == (event,)
    assert all(np.isfinite(a).all() for a in unpack(hub.tasks[uid].tensors[0], model()).values())
