"""Settings that cannot train are refused before anything is charged or read."""

from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from federation.learning import engines, personal, trial
from federation.protocol.messages import Contribution, Reason
from federation.site.assembly import Site
from federation.site.folder import Folder
from tests.site.conftest import model, study
from tests.site.hub import Hub
from tests.site.playing import kinds, play_one, refused

TRAINING = study().training.model_dump()


def test_they_cost_nothing(site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> None:
        raise NotImplementedError("no layer of this kind")

    monkeypatch.setattr(engines.get("opacus"), "gradients", fails, raising=False)
    protocol = study(training=TRAINING | {"engine": "opacus"})
    hub.approve(protocol)
    with capture_logs() as logs:
        answer = refused(site, hub, hub.assign(protocol, model()))
    assert (answer.reason, answer.accessed) == (Reason.MODEL_MISMATCH, False)
    assert kinds(site) == ["refused", "acknowledged"]
    assert any("no layer of this kind" in row.get("why", "") for row in logs)


def test_it_is_tried_once_for_each_protocol_and_for_training_only(
    site: Site, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, check = [], trial.check
    monkeypatch.setattr(trial, "check", lambda *given: (tried.append(given), check(*given)))
    protocol = study()
    hub.approve(protocol)
    asked = [(3, "evaluate"), (1, "train"), (2, "train")]
    for (number, phase), times in zip(asked, (0, 1, 1), strict=True):
        uid = hub.assign(protocol, model(), round=number, phase=phase)
        assert play_one(site, hub, uid)
        assert isinstance(hub.answer(uid, 0), Contribution)
        assert len(tried) == times
    assert tried == [(protocol, 2.0, 30.0)]


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_opacus_trains_recurrent_models_at_a_site(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site], kind: str
) -> None:
    lines = ["who,t,age,pressure,pain,disease"]
    lines += [f"p{i},{t},{20 + i},{100 + t},none,{i % 2}" for i in range(30) for t in range(4)]
    Path(folder.path / "heart.csv").write_text("\n".join(lines) + "\n")
    unit = {"unit": "patient", "patient_column": "who", "max_rows_per_patient": 50}
    data = study().data.model_dump(mode="json") | unit | {"windows": {"length": 3, "order": ["t"]}}
    recurrent = {"architecture": kind, "parameters": {"hidden": 16}}
    protocol = study(data=data, model=recurrent, training=TRAINING | {"engine": "opacus"})
    hub.approve(protocol)
    site = assembled(folder)
    uid = hub.assign(protocol, personal.first(protocol).given)
    assert play_one(site, hub, uid)
    assert isinstance(hub.answer(uid, 0), Contribution)
