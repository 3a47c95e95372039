"""What a site may not send: each fault has a clear answer, and nothing else is lost by it."""

import numpy as np
import pytest
from safetensors.numpy import save

from federation.models import Assignment, Contribution
from federation.protocol import messages
from federation.protocol.keys import SigningKey
from federation.protocol.messages import Reason
from federation.protocol.tensors import pack
from federation.services import blobs
from tests.federation.conftest import advance, kinds
from tests.federation.sites import error_of, post


@pytest.fixture
def site(sites):
    return sites["zurich"]


@pytest.fixture
def task(study, site):
    return site.take()


def status(task) -> str:
    return Assignment.objects.get(uid=task.assignment).status


def shaped(site, task, value: float):
    return {name: np.full_like(a, value) for name, a in site.model(task).items()}


def sent(site, task, data: bytes, /, **changes):
    """Upload `data` and answer with a contribution that says so."""
    assert site.upload(task, data).status_code == 204
    message = site.contribution(task, data, **changes)
    return site.answer(task, messages.sign(message, site.key))


def rejected(response) -> str:
    assert response.status_code == 200
    document = response.json()
    assert document["accepted"] is False
    return document["reason"]


def raw_safetensors(tensors) -> bytes:
    """safetensors bytes without the checks of our own writer."""
    return save(tensors)


def test_another_shape(study, site, task):
    wrong = {name: np.zeros((7, 7), np.float32) for name in site.model(task)}
    assert "(7, 7)" in rejected(sent(site, task, pack(wrong)))
    assert kinds(study, site) == ["reserved", "charged", "released", "refused"]
    assert status(task) == "answered"
    assert study.events.filter(kind="contribution_rejected").count() == 1


def test_other_names_and_types(site, task):
    model = site.model(task)
    renamed = {f"{name}2": array for name, array in model.items()}
    assert "named" in rejected(sent(site, task, pack(renamed)))


def test_another_element_type(site, task):
    doubled = {name: array.astype(np.float64) for name, array in site.model(task).items()}
    assert "float64" in rejected(sent(site, task, pack(doubled)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_inside(study, site, task, value):
    assert "NaN" in rejected(sent(site, task, raw_safetensors(shaped(site, task, value))))
    assert kinds(study, site)[-1] == "refused"


def test_truncated_tensors(site, task):
    data = pack(shaped(site, task, 0.0))
    assert "truncated" in rejected(sent(site, task, data[:-3]))


def test_an_update_beyond_all_clipping(site, task):
    assert "larger" in rejected(sent(site, task, pack(shaped(site, task, 1e6))))


def test_an_event_that_is_cheaper_than_the_protocols(site, task):
    event = dict(task.parameters["event"], noise_multiplier="9.0")
    data = pack(shaped(site, task, 0.0))
    assert "event" in rejected(sent(site, task, data, events=(event,)))


def test_an_empty_journal(site, task):
    data = pack(shaped(site, task, 0.0))
    journal = {"sequence": 0, "digest": "0" * 64}
    assert "journal" in rejected(sent(site, task, data, journal=journal))


def test_a_rejected_contribution_stays_rejected(site, task):
    data = pack(shaped(site, task, 1e6))
    envelope = messages.sign(site.contribution(task, data), site.key)
    site.upload(task, data)
    first, again = site.answer(task, envelope), site.answer(task, envelope)
    assert first.content == again.content
    assert site.upload(task, data).status_code == 409


def test_a_forged_envelope_uses_nothing_up(study, site, task):
    data = pack(shaped(site, task, 0.0))
    forged = messages.sign(site.contribution(task, data), SigningKey.generate())
    assert site.answer(task, forged).status_code == 400
    assert status(task) == "taken"
    assert site.contribute(task).json()["accepted"] is True
    assert study.events.filter(kind="contribution_rejected").count() == 1


def test_a_truncated_envelope_uses_nothing_up(site, task):
    envelope = messages.sign(site.contribution(task, b"x"), site.key)
    assert site.answer(task, envelope[:-9]).status_code == 400
    assert status(task) == "taken"


@pytest.mark.parametrize(
    "change", [{"round": 2}, {"attempt": 2}, {"study": "other"}, {"model_digest": "0" * 64}]
)
def test_an_answer_to_something_else(site, task, change):
    data = pack(shaped(site, task, 0.0))
    response = sent(site, task, data, **change)
    assert response.status_code == 400
    assert next(iter(change)) in error_of(response)


def test_an_answer_in_anothers_name(site, task):
    data = pack(shaped(site, task, 0.0))
    assert "site" in error_of(sent(site, task, data, site="budapest"))


def test_tensors_come_first(site, task):
    data = pack(shaped(site, task, 0.5))
    response = site.answer(task, messages.sign(site.contribution(task, data), site.key))
    assert response.status_code == 409
    assert "upload the tensors first" in error_of(response)
    assert status(task) == "taken"


def test_more_bytes_than_the_model_has_are_not_kept(site, task):
    response = site.upload(task, b"x" * 200_000)
    assert response.status_code == 413
    assert list(blobs.path("0" * 64).parent.parent.glob("incoming-*")) == []


def test_a_body_that_is_not_what_was_signed_is_not_kept(site, task):
    path = f"assignments/{task.assignment}/tensors"
    response = post("PUT", path, b"other", site.signed("PUT", path, b"signed"))
    assert response.status_code == 400
    assert "digest" in error_of(response)


def test_the_same_contribution_again_gets_the_same_answer(study, site, task):
    data = pack(shaped(site, task, 0.5))
    envelope = messages.sign(site.contribution(task, data), site.key)
    site.upload(task, data)
    answers = {site.answer(task, envelope).content for _ in range(3)}
    assert answers == {b'{"accepted": true, "reason": ""}'}
    assert kinds(study, site) == ["reserved", "charged", "released"]
    assert Contribution.objects.count() == 1


def test_another_contribution_to_the_same_assignment_conflicts(site, task):
    site.contribute(task)
    data = pack(shaped(site, task, 0.5))
    second = site.answer(task, messages.sign(site.contribution(task, data), site.key))
    assert second.status_code == 409


def test_a_late_contribution_is_not_used_and_stays_charged(study, site, task):
    advance(study, later=61)
    data = pack(shaped(site, task, 0.5))
    assert site.upload(task, data).status_code == 409
    envelope = messages.sign(site.contribution(task, data), site.key)
    for _ in range(2):
        response = site.answer(task, envelope)
        assert response.status_code == 409
        assert "too late" in error_of(response)
    assert kinds(study, site) == ["reserved", "charged", "lost"]
    assert study.events.filter(kind="contribution_rejected").count() == 1
    assert Contribution.objects.get().accepted is False


def test_a_contribution_after_its_time_but_before_the_sweep_is_late_too(study, site, task):
    Assignment.objects.filter(uid=task.assignment).update(expires_at=study.started_at)
    envelope = messages.sign(site.contribution(task, b"x"), site.key)
    assert site.answer(task, envelope).status_code == 409
    assert site.take() is None
    advance(study, later=61)
    assert status(task) == "lost"


def test_a_refusal_before_access_gives_the_charge_back(study, site, task):
    response = site.refuse(task, Reason.LIMIT_EPSILON, accessed=False)
    assert response.json() == {"accepted": False, "reason": "limit_epsilon"}
    assert kinds(study, site) == ["reserved", "charged", "aborted"]
    assert status(task) == "refused"
    assert study.events.filter(kind="assignment_refused").count() == 1


def test_a_refusal_after_access_stays_charged(study, site, task):
    site.refuse(task, Reason.LOCAL_FAILURE, accessed=True)
    assert kinds(study, site) == ["reserved", "charged", "refused"]
