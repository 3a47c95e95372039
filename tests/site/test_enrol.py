"""Enrolment and `check`, as a person at a terminal sees them."""

import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from federation.protocol.keys import SigningKey
from federation.site.cli import main
from federation.site.folder import Folder
from federation.site.pin import Pin
from tests.site.conftest import patients, study
from tests.site.hub import Hub


def mode(path: os.PathLike[str]) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)  # noqa: PTH116


def enrol(folder: Folder, hub: Hub, token: str, *more: str) -> int:
    given = ["enrol", "--hub", hub.url, "--token", token, "--folder", str(folder.path)]
    return main([*given, *more])


def test_it_makes_a_private_key_and_pins_the_hub(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Folder(tmp_path / "new" / "site")
    assert enrol(folder, hub, "token-1") == 0
    assert (mode(folder.path), mode(folder.key), mode(folder.pin)) == (0o700, 0o600, 0o600)
    pin = Pin.read(folder)
    assert (pin.institution, pin.hub_key, pin.url) == ("north", hub.key.public, hub.url)
    assert hub.site_key == SigningKey.load(folder.key).public
    said = capsys.readouterr().out
    assert "federation.site check" in said
    assert hub.site_key in said


def test_the_private_key_never_leaves(folder: Folder, hub: Hub) -> None:
    secret = SigningKey.load(folder.key).private.private_bytes_raw()
    assert secret not in hub.traffic()
    assert secret.hex().encode() not in hub.traffic()


def test_an_enrolment_is_not_overwritten_by_accident(
    folder: Folder, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    before = folder.key.read_bytes()
    hub.tokens.add("token-2")
    assert enrol(folder, hub, "token-2") == 1
    assert "--force" in capsys.readouterr().err
    assert folder.key.read_bytes() == before
    assert hub.tokens == {"token-2"}
    assert enrol(folder, hub, "token-2", "--force") == 0
    assert folder.key.read_bytes() != before
    assert hub.site_key == SigningKey.load(folder.key).public
    assert folder.config.read_text() != ""


def test_a_used_token_is_refused_and_the_old_enrolment_stays(
    folder: Folder, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder.key.read_bytes(), folder.pin.read_bytes())
    assert enrol(folder, hub, "token-1", "--force") == 1
    assert "ask for a new one" in capsys.readouterr().err
    assert (folder.key.read_bytes(), folder.pin.read_bytes()) == before


@pytest.mark.parametrize("url", ["hub.example.org", "ftp://hub", "http://127.0.0.1:9"])
def test_a_wrong_address_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    given = ["enrol", "--hub", url, "--token", "t", "--folder", str(tmp_path / "site")]
    assert main(given) == 1
    assert url in capsys.readouterr().err


def run_check(folder: Folder, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(["check", "--folder", str(folder.path), *more])
    return code, capsys.readouterr().out


def test_check_is_green_after_enrolment(
    folder: Folder, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run_check(folder, capsys)
    assert code == 0, said
    assert "✗" not in said
    for word in ("configuration", "key", "enrolment", "dataset heart", "hub", "clock"):
        assert f"✓ {word}" in said


def test_check_holds_the_data_against_every_known_protocol(
    folder: Folder, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    protocol = study()
    hub.approve(protocol)
    folder.protocols.mkdir()
    (folder.protocols / "heart-study.json").write_bytes(hub.approvals[protocol.digest])
    assert run_check(folder, capsys)[0] == 0
    (folder.path / "heart.csv").write_text(patients() + "733,120,none,1\n")
    code, said = run_check(folder, capsys)
    assert code == 1
    assert "✗ dataset heart for study heart-study" in said
    assert "age" in said
    verdict = next(line for line in said.splitlines() if line.startswith("✗"))  # no port in it
    assert "733" not in said
    assert "81" not in verdict


def test_check_holds_the_data_against_a_study_file(
    folder: Folder, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder.path / "study.toml"
    path.write_text("nonsense = 1\n")
    capsys.readouterr()
    assert main(["check", "--folder", str(folder.path), "--study", str(path)]) == 1
    assert "study.toml" in capsys.readouterr().err


def test_each_fault_has_its_line(
    folder: Folder, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.key.chmod(0o644)
    code, said = run_check(folder, capsys)
    assert code == 1
    assert "✗ key" in said
    assert "chmod 600" in said
    folder.key.chmod(0o600)
    (folder.path / "heart.csv").unlink()
    assert "✗ dataset heart" in run_check(folder, capsys)[1]
    folder.pin.unlink()
    assert "✗ enrolment" in run_check(folder, capsys)[1]
    folder.config.write_text("[limits]\nmax_rounds = 0\n")
    assert "✗ configuration" in run_check(folder, capsys)[1]


def test_a_wrong_clock_is_found(
    folder: Folder, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.skew = timedelta(seconds=45)
    code, said = run_check(folder, capsys)
    assert code == 1
    assert "✗ clock: -45 s" in said
    hub.skew = timedelta(hours=2)
    assert "clock" in run_check(folder, capsys)[1]


def test_another_hub_at_the_same_address_is_found(
    folder: Folder, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.key = SigningKey.generate()
    code, said = run_check(folder, capsys)
    assert code == 1
    assert "another key than the pinned one" in said


def test_an_absent_hub_is_said_without_a_traceback(
    folder: Folder, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.stop()
    code, said = run_check(folder, capsys)
    assert code == 1
    assert "does not answer" in said


def test_commands_without_an_enrolment_say_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Folder(tmp_path / "site")
    folder.create()
    folder.config.write_text("")
    assert main(["run", "--folder", str(folder.path)]) == 1
    assert "enrol" in capsys.readouterr().err
    assert main(["journal", "--json", "--folder", str(folder.path)]) == 0
    assert capsys.readouterr().out == "[]\n"
