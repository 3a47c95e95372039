"""What stays here between the rounds of a study: own layers and control, as they left training.

One file for each answer, named by its assignment and the digest of what leaves in it, written
before the answer is stored and of use only once the journal says that exactly these tensors were
released. A draw that a crash threw away therefore leads to nothing, be it put back from a backup:
the next try begins where the first began, so one charge still pays for one result.
"""

from pathlib import Path

import structlog

from federation.learning import control
from federation.protocol.canonical import digest
from federation.protocol.messages import Assignment, Reason
from federation.protocol.tensors import TensorError, Tensors, pack, unpack
from federation.site.journal import Journal
from federation.site.refused import Refused
from federation.site.store import write_durably

AFTER = "after"  # the key by which an assignment names what to go on from
LOST = (
    "what the hub goes on from is lost or damaged in kept/; restore that folder from its backup, "
    "or wait: when three models were made without this site, or when it leaves the study, the hub "
    "begins all corrections anew and asks for the file no more"
)
UNWRITABLE = (
    "kept/ in this site's folder cannot be written ({}), and what this training leaves must stay "
    "there; free disk space or correct the permissions. This try charges nothing"
)
LEFT = 4  # files that stay for each study beside those that the hub may still name

log = structlog.get_logger()


class Kept:
    """Files in `folder`, one subfolder for each study and protocol digest."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self._folder = folder
        self._journal = journal

    def of(self, asked: Assignment, first: Tensors) -> Tensors:
        """What `asked` goes on from, shaped as `first`.

        Where the hub names the last contribution of this site that it used, exactly what that one
        left: control variates of hub and sites add up only so. Otherwise the newest layers, and
        where it names none ('') with `first`'s control. Raises Refused where the named is not here.
        """
        named = asked.parameters.get(AFTER)
        if named and first:
            for path in self._released(asked.study, asked.protocol_digest):
                if _assignment(path) == named:
                    return _named(path, first)
            raise Refused(Reason.LOCAL_FAILURE, LOST)
        newest = self.newest(asked.study, asked.protocol_digest, first)
        if named is None:
            return newest
        return control.joined(control.parted(newest)[0], control.parted(first)[1])

    def newest(self, study: str, protocol_digest: str, first: Tensors) -> Tensors:
        """This site's own layers as the last released training left them; before any, `first`.

        Shaped as `first`; nothing where that is empty. A file that is lost or damaged is passed
        over, with a line in the log: the layers then begin where the one before it left them.
        """
        if not first:
            return {}
        for path in reversed(self._released(study, protocol_digest)):
            try:
                return unpack(path.read_bytes(), first)
            except TensorError as error:
                log.error("own_layers_damaged", study=study, why=str(error))
        return first

    def probe(self, asked: Assignment, first: Tensors) -> None:
        """Write as many bytes as `keep` will, and remove them: before anything is charged.

        Nothing where `first` is empty. Raises Refused.
        """
        if not first:
            return
        try:
            file = self._made(asked) / ".probe"
            write_durably(file, pack(first))
            file.unlink()
        except OSError as error:
            raise Refused(Reason.LOCAL_FAILURE, UNWRITABLE.format(error.strerror)) from error

    def keep(self, asked: Assignment, layers: Tensors, leaves: Tensors) -> None:
        """Write what training left beside what `leaves`, durably; nothing where all is shared.

        Of the study's older files all but a few go: those that never left, and those that left
        where the hub names none. A hub that was put back to an old backup may name any of them.
        Raises OSError.
        """
        if not layers:
            return
        folder = self._made(asked)
        released = self._released(asked.study, asked.protocol_digest)
        others = sorted(set(folder.iterdir()) - set(released), key=_written)
        unnamed = [] if AFTER in asked.parameters else released
        for path in [*unnamed[:-LEFT], *others[:-LEFT]]:
            path.unlink()
        write_durably(folder / _name(asked.assignment, digest(pack(leaves))), pack(layers))

    def _released(self, study: str, protocol_digest: str) -> list[Path]:
        """The files of answers that left, oldest first."""
        folder = self._of(study, protocol_digest)
        entries = self._journal.released(study, "train")
        paths = [folder / _name(entry.assignment, entry.tensors_digest) for entry in entries]
        return [path for path in paths if path.exists()]

    def _of(self, study: str, protocol_digest: str) -> Path:
        return self._folder / f"{study}.{protocol_digest}"

    def _made(self, asked: Assignment) -> Path:
        folder = self._of(asked.study, asked.protocol_digest)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder


def _name(assignment: str, tensors_digest: str) -> str:
    return f"{assignment}.{tensors_digest}.safetensors"


def _assignment(path: Path) -> str:
    return path.name.partition(".")[0]


def _named(path: Path, first: Tensors) -> Tensors:
    try:
        return unpack(path.read_bytes(), first)
    except TensorError as error:
        raise Refused(Reason.LOCAL_FAILURE, LOST) from error


def _written(path: Path) -> float:
    return path.stat().st_mtime
