"""Where a site computes is its own choice: told to nobody, refused before it costs anything."""

from collections.abc import Callable

import pytest
import torch

from federation.learning.training import Session
from federation.protocol.messages import Contribution, Reason
from federation.site.assembly import Site
from federation.site.check import check
from federation.site.cli import main
from federation.site.config import ConfigError, read_config
from federation.site.folder import Folder
from tests.learning.pretended import pretended_cuda
from tests.site.conftest import CONFIG, model, study
from tests.site.hub import Hub
from tests.site.playing import kinds, play_one, refused


def asks(folder: Folder, device: str) -> Folder:
    folder.config.write_text(f'{CONFIG}[machine]\ndevice = "{device}"\n')
    return folder


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU, also where there is one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where each step was made."""
    found: list[str] = []
    step = Session.step

    def watched(self: Session) -> None:
        step(self)
        found.append(self.optimiser.weights.device.type)

    monkeypatch.setattr(Session, "step", watched)
    return found


def test_it_is_a_gpu_when_there_is_one_unless_the_site_says_otherwise(folder: Folder) -> None:
    assert read_config(folder).machine.device == "auto"
    assert read_config(asks(folder, "cpu")).machine.device == "cpu"
    with pytest.raises(ConfigError, match=r"machine\.device: .*'auto', 'cpu' or 'cuda'"):
        read_config(asks(folder, "gpu"))


@pytest.mark.parametrize(
    ("device", "expected"), [("auto", "cuda"), ("cuda", "cuda"), ("cpu", "cpu")]
)
def test_a_round_is_computed_where_the_site_says(
    folder: Folder,
    hub: Hub,
    assembled: Callable[[Folder], Site],
    monkeypatch: pytest.MonkeyPatch,
    places: list[str],
    device: str,
    expected: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "pretended")
    protocol, site = study(), assembled(asks(folder, device))
    hub.approve(protocol)
    rounds = [
        hub.assign(protocol, model()),
        hub.assign(protocol, model(), round=3, phase="evaluate"),
    ]
    with pretended_cuda(monkeypatch) as there:
        for uid in rounds:
            assert play_one(site, hub, uid)
            assert isinstance(hub.answer(uid, 0), Contribution)
        assert bool(there.seen["back"]) == (expected == "cuda")
    assert places == [expected] * 4


def test_without_the_gpu_that_is_asked_for_nothing_is_charged(
    folder: Folder, hub: Hub, assembled: Callable[[Folder], Site], nowhere: None
) -> None:
    protocol, site = study(), assembled(asks(folder, "cuda"))
    hub.approve(protocol)
    answer = refused(site, hub, hub.assign(protocol, model()))
    assert (answer.reason, answer.accessed) == (Reason.LOCAL_FAILURE, False)
    assert kinds(site) == ["refused", "acknowledged"]


@pytest.mark.parametrize(
    ("device", "good", "text"),
    [("auto", True, "cpu"), ("cpu", True, "cpu"), ("cuda", False, "set machine.device to 'auto'")],
)
def test_check_says_where_a_round_would_be_computed(
    folder: Folder, nowhere: None, device: str, good: bool, text: str
) -> None:
    (found,) = [each for each in check(asks(folder, device)) if each.what == "device"]
    assert found.good == good
    assert text in found.text


def test_the_local_baseline_says_it_too(
    folder: Folder,
    hub: Hub,
    assembled: Callable[[Folder], Site],
    nowhere: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    protocol = study()
    hub.approve(protocol)
    site = assembled(folder)
    assert play_one(site, hub, hub.assign(protocol, model()))
    assert main(["baseline", "--folder", str(asks(folder, "cuda").path)]) != 0
    assert "device 'cuda' is asked for" in capsys.readouterr().err
