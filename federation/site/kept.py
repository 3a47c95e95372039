"""What stays here between the rounds of a study: own layers and control, as they left training.

One file for each answered assignment, written before the answer is stored and of use only once
the journal says that the answer was released. A draw that a crash threw away therefore leads to
nothing: the next try begins where the first began, so one charge still pays for one result.
"""

from pathlib import Path

import structlog

from federation.protocol.messages import Assignment, Reason
from federation.protocol.tensors import TensorError, Tensors, pack, unpack
from federation.site.journal import Journal
from federation.site.refused import Refused
from federation.site.store import write_durably

AFTER = "after"  # the key by which an assignment names what to go on from
LOST = (
    "what the hub goes on from is lost or damaged in kept/; restore that folder from its backup, "
    "or leave the study: without it this site's corrections would pull everybody's model aside"
)
LEFT = 4  # files of each kind that stay for each study: the newest one left is read

log = structlog.get_logger()


class Kept:
    """Files in `folder`, one subfolder for each study and protocol digest."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self._folder = folder
        self._journal = journal

    def of(self, asked: Assignment, first: Tensors) -> Tensors:
        """What `asked` goes on from, shaped as `first`.

        Where the hub names the last contribution of this site that it used, exactly what that one
        left (`first`, where it used none yet): control variates of hub and sites add up only so.
        Otherwise the newest. Raises Refused where the named one is not here.
        """
        named = asked.parameters.get(AFTER)
        if not first or named == "":
            return first
        if named is None:
            return self.newest(asked.study, asked.protocol_digest, first)
        for path in self._released(asked.study, asked.protocol_digest):
            if path.stem == named:
                return _named(path, first)
        raise Refused(Reason.LOCAL_FAILURE, LOST)

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

    def keep(self, asked: Assignment, layers: Tensors) -> None:
        """Write what training left, durably; nothing where all layers are shared. Raises OSError.

        Of the study's older files all but a few go, of those that left and of those that did not.
        """
        if not layers:
            return
        folder = self._of(asked.study, asked.protocol_digest)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        released = self._released(asked.study, asked.protocol_digest)
        others = sorted(set(folder.iterdir()) - set(released), key=_written)
        for path in [*released[:-LEFT], *others[:-LEFT]]:
            if path.stem != asked.parameters.get(AFTER):
                path.unlink()
        write_durably(folder / f"{asked.assignment}.safetensors", pack(layers))

    def _released(self, study: str, protocol_digest: str) -> list[Path]:
        """The files of answers that left, oldest first."""
        folder = self._of(study, protocol_digest)
        entries = self._journal.released(study, "train")
        paths = [folder / f"{entry.assignment}.safetensors" for entry in entries]
        return [path for path in paths if path.exists()]

    def _of(self, study: str, protocol_digest: str) -> Path:
        return self._folder / f"{study}.{protocol_digest}"


def _named(path: Path, first: Tensors) -> Tensors:
    try:
        return unpack(path.read_bytes(), first)
    except TensorError as error:
        raise Refused(Reason.LOCAL_FAILURE, LOST) from error


def _written(path: Path) -> float:
    return path.stat().st_mtime
