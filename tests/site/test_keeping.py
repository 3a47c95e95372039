"""`kept` says what studies left here, and removes it when they are over and a person says so."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from federation.learning import control, personal
from federation.protocol.document import Protocol
from federation.site.assembly import Site
from federation.site.cli import main
from federation.site.folder import Folder
from tests.site.conftest import study
from tests.site.hub import Hub
from tests.site.playing import kept_file, play_one
from tests.site.test_personal import personalised

Played = Callable[..., str]
STUDY = "heart-study"


@pytest.fixture
def played(hub: Hub, folder: Folder, assembled: Callable[[Folder], Site]) -> Played:
    """played(protocol, round): this site's training of that round, released; its assignment."""

    def play_round(protocol: Protocol, number: int = 1, *, controlled: bool = False) -> str:
        hub.approve(protocol)
        model = personal.first(protocol).shared
        more = {"parameters": {"after": ""}} if controlled else {}
        given = control.begun(model) if controlled else model
        uid = hub.assign(protocol, given, round=number, **more)
        with folder.alone():
            assert play_one(assembled(folder), hub, uid)
        return uid

    return play_round


def ask(folder: Folder, *more: str) -> int:
    return main(["kept", "--folder", str(folder.path), *more])


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(f"{text}\n"))


def files(folder: Folder) -> list[Path]:
    return [path for path in folder.kept.rglob("*") if path.is_file()]


def test_where_nothing_is_kept_it_says_so(
    folder: Folder, played: Played, capsys: pytest.CaptureFixture
) -> None:
    played(study())
    assert ask(folder) == 0
    assert "Nothing is kept" in capsys.readouterr().out


def test_it_lists_what_is_kept_and_which_file_to_use(
    folder: Folder, played: Played, capsys: pytest.CaptureFixture
) -> None:
    protocol = personalised()
    played(protocol, 1)
    newest = kept_file(folder, protocol, played(protocol, 2))
    assert ask(folder) == 0
    shown = capsys.readouterr().out
    size = sum(path.stat().st_size for path in files(folder)) / 1024
    assert f"{STUDY}\n  own layers; 2 files, {size:.1f} KiB\n" in shown
    assert "answers left up to round 2 of 3: it may still go on" in shown
    assert f"newest that left: {newest}" in shown
    assert "--remove" not in shown


def test_it_lists_while_the_worker_runs(
    folder: Folder, played: Played, capsys: pytest.CaptureFixture
) -> None:
    played(personalised())
    with folder.alone():
        assert ask(folder) == 0
        assert STUDY in capsys.readouterr().out
        assert ask(folder, "--remove", STUDY, "--ended") == 1
    assert "already runs" in capsys.readouterr().err
    assert files(folder)


def test_a_draw_that_never_left_is_not_called_usable(
    folder: Folder, played: Played, capsys: pytest.CaptureFixture
) -> None:
    protocol = personalised()
    file = kept_file(folder, protocol, played(protocol))
    file.rename(file.with_name(f"{'0' * 32}.{'0' * 64}.safetensors"))
    assert ask(folder) == 0
    assert "nothing of use: no answer left with it; 1 file" in capsys.readouterr().out


def test_a_damaged_file_is_told(
    folder: Folder, played: Played, capsys: pytest.CaptureFixture
) -> None:
    protocol = personalised()
    kept_file(folder, protocol, played(protocol)).write_bytes(b"no tensors")
    assert ask(folder) == 0
    assert "the newest file is damaged" in capsys.readouterr().out


def test_a_study_that_may_go_on_is_not_removed(
    folder: Folder, played: Played, capsys: pytest.CaptureFixture, typed: Callable[[str], None]
) -> None:
    typed(STUDY)
    played(personalised(), 2)
    assert ask(folder, "--remove", STUDY) == 1
    told = capsys.readouterr().err
    assert "may not be over (answers left up to round 2 of 3: it may still go on)" in told
    assert "--ended" in told
    assert files(folder)


def test_one_that_ended_early_is_removed_by_a_persons_word(
    folder: Folder, played: Played, typed: Callable[[str], None]
) -> None:
    played(personalised())
    typed(STUDY)
    assert ask(folder, "--remove", STUDY, "--ended") == 0
    assert files(folder) == []


def test_one_that_is_over_is_removed_once_its_name_is_typed(
    folder: Folder, played: Played, capsys: pytest.CaptureFixture, typed: Callable[[str], None]
) -> None:
    played(personalised(evaluation={"every": 0}), 3)
    ask(folder)
    assert "all 3 rounds are done here" in capsys.readouterr().out
    for answer in ("", "yes", STUDY.upper()):
        typed(answer)
        assert ask(folder, "--remove", STUDY) == 1
        assert files(folder)
    assert "Nothing was changed" in capsys.readouterr().out
    typed(STUDY)
    assert ask(folder, "--remove", STUDY) == 0
    assert files(folder) == []
    assert folder.journal.exists()


def test_the_last_round_is_not_over_before_it_was_evaluated(
    folder: Folder, played: Played, capsys: pytest.CaptureFixture
) -> None:
    """The site's histogram is of the model with its own layers."""
    played(personalised(evaluation={"every": 3, "holdout": 0.25, "noise_multiplier": 4.0}), 3)
    assert ask(folder, "--remove", STUDY) == 1
    assert "up to round 3 of 3: it may still go on" in capsys.readouterr().err


def test_what_an_earlier_protocol_left_is_told_apart(
    folder: Folder, played: Played, capsys: pytest.CaptureFixture
) -> None:
    played(personalised())
    played(personalised(purpose="changed"), 2)
    assert ask(folder) == 0
    shown = capsys.readouterr().out
    assert "of an earlier version of the protocol" in shown
    assert "up to round 2 of 3" in shown
    assert ask(folder, "--remove", STUDY) == 1  # the study goes on


def test_an_unknown_study_is_answered_with_those_there_are(
    folder: Folder, played: Played, capsys: pytest.CaptureFixture
) -> None:
    played(personalised())
    assert ask(folder, "--remove", "lungs") == 1
    assert f"nothing of 'lungs' is kept here; there is: {STUDY}" in capsys.readouterr().err


def test_a_correction_is_called_one(
    folder: Folder, played: Played, capsys: pytest.CaptureFixture
) -> None:
    protocol = study(aggregation={"strategy": "scaffold"})
    played(protocol, controlled=True)
    assert ask(folder) == 0
    assert "SCAFFOLD's correction; 1 file" in capsys.readouterr().out
