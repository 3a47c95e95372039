"""`kept`: what studies left at this site, for its people; and how to remove it when one is over.

Nothing goes by itself: a study's own layers are what the institution uses the model with.
"""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from federation.learning import control
from federation.protocol.document import Protocol
from federation.protocol.tensors import TensorError, unpack
from federation.site.approvals import Approvals
from federation.site.folder import Folder
from federation.site.journal import Entry, Kind, read_entries
from federation.site.pin import Pin
from federation.site.store import sync_folder


@dataclass(frozen=True)
class Left:
    """What one protocol of one study left. `usable` are the files of answers that left, in order.

    `done` is the last round whose answer left here; `over` says that it was the protocol's last,
    or that the study goes on under a newer protocol.
    """

    study: str
    folder: Path
    usable: tuple[Path, ...]
    files: int
    size: int
    state: str
    over: bool

    def __str__(self) -> str:
        many = f"{self.files} file{'' if self.files == 1 else 's'}, {_size(self.size)}"
        lines = [self.study, f"  {_contents(self.usable)}; {many}", f"  {self.state}"]
        if self.usable:
            lines.append(f"  newest that left: {self.usable[-1]}")
        return "\n".join(lines) + "\n"


def listed(folder: Folder) -> int:
    """Print what is kept, by study. Raises NotEnrolled, JournalBroken, JournalFull."""
    found = _found(folder)
    say = sys.stdout.write
    if not found:
        say("Nothing is kept: only personalised layers and SCAFFOLD leave something here.\n")
    for left in found:
        say(str(left))
    if any(left.over for left in found):
        say("Remove what is not needed any more with --remove STUDY.\n")
    return 0


def remove(folder: Folder, study: str, *, ended: bool) -> int:
    """Remove all that `study` left, when it is over and a person says so.

    `ended` is the person's word that a study that did not reach its last round here is over.
    Raises FolderBusy while the worker runs, and as `listed`.
    """
    with folder.alone():
        found = [left for left in _found(folder) if left.study == study]
        if not found:
            names = ", ".join(sorted({left.study for left in _found(folder)})) or "nothing at all"
            sys.stderr.write(f"nothing of {study!r} is kept here; there is: {names}\n")
            return 1
        if not (ended or all(left.over for left in found)):
            sys.stderr.write(_RUNNING.format(study=study, state=_open(found)))
            return 1
        return _removed(found, study)


def _removed(found: Sequence[Left], study: str) -> int:
    say = sys.stdout.write
    for left in found:
        say(str(left))
    say(f"{_LOSS}Type {study!r} to remove it: ")
    sys.stdout.flush()
    if sys.stdin.readline().strip() != study:
        say("Nothing was changed.\n")
        return 1
    for left in found:
        shutil.rmtree(left.folder)
        sync_folder(left.folder.parent)
    say("Removed.\n")
    return 0


def _open(found: Sequence[Left]) -> str:
    return next(left.state for left in found if not left.over)


def _found(folder: Folder) -> list[Left]:
    if not folder.kept.is_dir():
        return []
    pin = Pin.read(folder)
    entries = read_entries(folder.journal) if folder.journal.exists() else ()
    approvals = Approvals(folder.protocols, pin.hub_key, pin.institution).known()
    current = {known.statement.study: known.statement for known in approvals}
    found = []
    for place in sorted(path for path in folder.kept.iterdir() if path.is_dir()):
        study, _, digest = place.name.rpartition(".")
        statement = current.get(study)
        known = statement.protocol if statement else None
        replaced = statement is not None and statement.protocol_digest != digest
        mine = [entry for entry in entries if (entry.study, entry.kind) == (study, Kind.RELEASED)]
        found.append(_left(place, mine, known, replaced=replaced))
    return found


def _left(place: Path, released: list[Entry], protocol: Protocol | None, *, replaced: bool) -> Left:
    files = [path for path in place.iterdir() if path.is_file()]
    by_name = {path.name: path for path in files}
    named = (f"{entry.assignment}.{entry.tensors_digest}.safetensors" for entry in released)
    state, over = _state(released, protocol, replaced=replaced)
    return Left(
        place.name.rpartition(".")[0],
        place,
        tuple(by_name[name] for name in named if name in by_name),
        len(files),
        sum(path.stat().st_size for path in files),
        state,
        over,
    )


def _state(released: list[Entry], protocol: Protocol | None, *, replaced: bool) -> tuple[str, bool]:
    if replaced:
        return "of an earlier version of the protocol: the study went on under a newer one", True
    last = max((entry.round for entry in released), default=0)
    if protocol is None:
        return f"answers left up to round {last}; this site has lost the protocol", False
    count = protocol.rounds.count
    phase = "evaluate" if protocol.evaluates(count) else "train"
    if any((entry.round, entry.phase) == (count, phase) for entry in released):
        return f"all {count} rounds are done here", True
    return f"answers left up to round {last} of {count}: it may still go on", False


def _contents(usable: Sequence[Path]) -> str:
    """What the newest file that left holds, by its own words."""
    if not usable:
        return "nothing of use: no answer left with it"
    try:
        layers, corrections = control.parted(unpack(usable[-1].read_bytes()))
    except (TensorError, OSError):
        return "the newest file is damaged; restore it from a backup"
    parts = (("own layers", layers), ("SCAFFOLD's correction", corrections))
    return " and ".join(name for name, tensors in parts if tensors)


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 1024:.1f} KiB"


_LOSS = """
Own layers are this institution's half of the model: without them its predictions are not to be had
again. Copy the newest file elsewhere if it may still be used. The journal keeps what was charged.
"""
_RUNNING = """\
{study} may not be over ({state}). If it goes on, the next round needs what is kept here: a
study with SCAFFOLD does not go on without, and own layers would begin afresh. When the study's
page says that it ended, or this institution left it: add --ended.
"""
