"""A hub that shows each site its own history is found out when two sites compare."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from federation.protocol.keys import SigningKey
from federation.site.assembly import Site
from federation.site.cli import main
from federation.site.folder import Folder
from tests.site.conftest import model, study
from tests.site.hub import Hub, shown
from tests.site.playing import play_one

PROTOCOL = study()


@pytest.fixture
def seen(site: Site, hub: Hub) -> Site:
    """A site that saw three entries."""
    hub.approve(PROTOCOL)
    hub.ledger = [b"declared", b"reserved", b"charged"]
    assert play_one(site, hub, hub.assign(PROTOCOL, model()))
    return site


@pytest.fixture
def of(tmp_path: Path, hub: Hub) -> Callable[..., Path]:
    """The checkpoint that another site of the same hub was shown, in a file."""

    def write(ledger: list[bytes], key: SigningKey | None = None) -> Path:
        path = tmp_path / "theirs.json"
        path.write_text(json.dumps(shown(ledger, 0, key or hub.key)["checkpoint"]))
        return path

    return write


def ask(folder: Folder, *more: object) -> int:
    return main(["witness", "--folder", str(folder.path), *map(str, more)])


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_one_ledger_continues_both(
    seen: Site, hub: Hub, folder: Folder, of: Callable[..., Path], size: int
) -> None:
    hub.ledger += [b"released", b"acknowledged"]
    assert ask(folder, "--compare", of(hub.ledger[:size])) == 0


@pytest.mark.parametrize(
    "theirs",
    [
        [b"declared", b"for the others"],
        [b"declared", b"reserved", b"for the others"],
        [b"declared", b"reserved", b"charged", b"for the others", b"and more", b"and more"],
    ],
    ids=["shorter", "as long", "longer"],
)
def test_two_histories_are_found_out_and_both_checkpoints_prove_it(
    seen: Site,
    hub: Hub,
    folder: Folder,
    of: Callable[..., Path],
    theirs: list[bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each site alone saw a ledger that only grew."""
    hub.ledger += [b"released", b"acknowledged"]
    assert ask(folder, "--compare", of(theirs)) == 1
    assert "NOT ONE LEDGER" in capsys.readouterr().out


def test_a_hub_that_switches_faces_between_two_requests(
    seen: Site, hub: Hub, folder: Folder, of: Callable[..., Path]
) -> None:
    mine, others = list(hub.ledger), [b"declared", b"for the others", b"and more"]
    theirs = of(others[:2])
    hub.shows = lambda since: shown(mine if since == len(mine) else others, since, hub.key)
    assert ask(folder, "--compare", theirs) == 1


def test_what_is_held_can_be_handed_on(
    seen: Site, folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(folder, "--json") == 0
    file = tmp_path / "ours.json"
    file.write_text(capsys.readouterr().out)
    assert json.loads(file.read_text())["size"] == 3
    assert ask(folder, "--compare", file) == 0


def test_nothing_is_held_before_the_first_assignment(folder: Folder) -> None:
    assert ask(folder, "--json") == 1


def test_what_is_no_checkpoint_of_our_hub_says_so(
    seen: Site,
    folder: Folder,
    of: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ask(folder, "--compare", of([b"x"], SigningKey.generate())) == 1
    assert ask(folder, "--compare", tmp_path / "missing.json") == 1
    assert capsys.readouterr().out.count("is no checkpoint of the hub") == 2


def test_an_absent_hub_is_no_verdict(
    seen: Site,
    hub: Hub,
    folder: Folder,
    of: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = of(hub.ledger)
    hub.stop()
    assert ask(folder, "--compare", file) == 1
    said = capsys.readouterr()
    assert ("does not answer" in said.err, said.out) == (True, "")
