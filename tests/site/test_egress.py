"""The gate: what is not priced, or priced otherwise than charged, does not leave."""

import ast
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import federation.site
from federation.protocol import plans
from federation.protocol.messages import Assignment, open_envelope
from federation.protocol.priced import Priced
from federation.protocol.tensors import TensorError
from federation.site.assembly import Site
from federation.site.egress import GateClosed, Permit
from federation.site.journal import Kind, Slot
from tests.site.conftest import model, study
from tests.site.hub import Hub

PROTOCOL = study()
EVENT = plans.round_events(PROTOCOL, 1, "north")["train"]


@pytest.fixture
def permit(site: Site, hub: Hub) -> Permit:
    """One charged, open assignment."""
    uid = hub.assign(PROTOCOL, model())
    assignment = open_envelope(hub.tasks[uid].envelope, hub.key.public, Assignment)
    slot = Slot("heart-study", 1, 1, "train", uid, "0" * 64)
    charge = site.parts.journal.append(
        Kind.CHARGED, slot, at=datetime.now(UTC), lineage="heart", event=EVENT
    )
    return Permit(assignment, slot, charge, EVENT, model(), 1e6)


def filled(value: float) -> dict[str, np.ndarray]:
    return {name: np.full_like(tensor, value) for name, tensor in model().items()}


def test_a_priced_value_leaves(site: Site, hub: Hub, permit: Permit) -> None:
    assert site.parts.gate.release(permit, Priced(filled(0.1), (EVENT,)))
    assert len(hub.tasks[permit.assignment.assignment].answers) == 1


class Lookalike(Priced):
    """A subclass could carry anything."""


BAD: dict[str, Any] = {
    "no price": filled(0.1),
    "a look-alike": Lookalike(filled(0.1), (EVENT,)),
    "less noise than charged": Priced(filled(0.1), (replace(EVENT, noise_multiplier=0.1),)),
    "more steps than charged": Priced(filled(0.1), (replace(EVENT, steps=99),)),
    "released twice": Priced(filled(0.1), (EVENT, EVENT)),
    "another shape": Priced({"weight": np.zeros((2, 4), np.float32)}, (EVENT,)),
    "a stowaway": Priced(filled(0.1) | {"rows": np.zeros(1, np.float32)}, (EVENT,)),
    "another type": Priced({k: v.astype(np.float64) for k, v in model().items()}, (EVENT,)),
    "without clipping": Priced(filled(1e7), (EVENT,)),
    "not a number": Priced(filled(float("nan")), (EVENT,)),
    "infinite": Priced(filled(float("inf")), (EVENT,)),
}


@pytest.mark.parametrize("name", BAD)
def test_nothing_else_does(site: Site, hub: Hub, permit: Permit, name: str) -> None:
    before = len(hub.seen)
    with pytest.raises((GateClosed, TensorError)):
        site.parts.gate.release(permit, BAD[name])
    assert len(hub.seen) == before
    assert site.parts.outbox.find(permit.assignment.assignment) is None
    assert [entry.kind for entry in site.parts.journal.entries()] == ["charged"]


def test_a_charge_pays_for_its_own_assignment_only(site: Site, hub: Hub, permit: Permit) -> None:
    other = hub.assign(PROTOCOL, model(), round=2)
    stranger = open_envelope(hub.tasks[other].envelope, hub.key.public, Assignment)
    with pytest.raises(GateClosed, match="another assignment"):
        site.parts.gate.release(replace(permit, assignment=stranger), Priced(filled(0), (EVENT,)))


def test_only_the_gate_can_send() -> None:
    root = Path(federation.site.__file__).parent
    importers = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("transport.sending")
    }
    assert importers == {"egress.py"}


def test_stored_answers_outlive_their_assignment_by_nothing(site: Site, permit: Permit) -> None:
    assert site.parts.gate.release(permit, Priced(filled(0.1), (EVENT,)))
    uid = permit.assignment.assignment
    site.parts.outbox.forget_expired(datetime.now(UTC))
    assert site.parts.outbox.find(uid) is not None
    site.parts.outbox.forget_expired(datetime.now(UTC) + timedelta(hours=1))
    assert site.parts.outbox.find(uid) is None
