"""Two sites against a hub with two faces: another site's checkpoint held against what we saw.

A hub that shows each site its own history, and never mixes them up, is found out only when two
sites compare. Each hands the other its signed checkpoint, by whatever way does not lead through
the hub; then the hub must prove to one of them that one ledger continues both.
"""

import json
import sys
from pathlib import Path

from accounting.log import merkle
from accounting.log.checkpoints import CheckpointError, SignedCheckpoint
from federation.protocol.keys import SigningKey, verify
from federation.site.assembly import signed_client
from federation.site.config import read_config
from federation.site.folder import Folder
from federation.site.pin import Pin
from federation.site.transport.client import AccessRefused, HubAbsent
from federation.site.transport.receiving import Receiving
from federation.site.witness import LedgerForked, Shown, Sighting, Verdict, read, read_sightings

TRIES = 5  # the ledger may grow between two requests

Seen = tuple[int, str]  # size, root


def held(folder: Folder) -> int:
    """Print the signed checkpoint that is held, for another institution; 1 where there is none."""
    found = _held(folder)
    if found is None:
        sys.stderr.write("nothing was accepted yet; the first assignment brings a checkpoint\n")
        return 1
    sys.stdout.write(json.dumps(json.loads(found.shown)["checkpoint"]) + "\n")
    return 0


def compare(folder: Folder, file: Path) -> int:
    """Have the hub prove that one ledger continues both what we saw and `file`; 1 where not.

    Raises NotEnrolled, ConfigError, KeyFileError, JournalBroken.
    """
    pin = Pin.read(folder)
    ours = _held(folder)
    client = signed_client(pin, SigningKey.load(folder.key), read_config(folder))
    try:
        theirs = _theirs(file, pin.hub_key)
        mine = (ours.size, ours.root) if ours else (0, merkle.EMPTY_ROOT.hex())
        size = _proved(Receiving(client), pin.hub_key, mine, theirs)
    except LedgerForked as error:
        sys.stdout.write(
            f"NOT ONE LEDGER: {error}.\nKeep both checkpoints: each is signed by the hub. Tell "
            "your compliance officers, and stop the worker.\n"
        )
        return 1
    except (HubAbsent, AccessRefused) as error:
        sys.stderr.write(f"the hub does not answer ({error}); try again\n")
        return 1
    finally:
        client.close()
    sys.stdout.write(f"One ledger: its {size} entries continue both checkpoints.\n")
    return 0


def _held(folder: Folder) -> Sighting | None:
    seen = read_sightings(folder.journal) if folder.journal.exists() else ()
    good = [row for row in seen if row.verdict != Verdict.REFUSED and row.shown]
    return good[-1] if good else None


def _theirs(file: Path, hub_key: str) -> Seen:
    try:
        signed = SignedCheckpoint.from_json(json.loads(file.read_text(encoding="utf-8")))
        signed.verify(hub_key, verify)
    except (OSError, ValueError) as error:
        kind = str(error) if isinstance(error, CheckpointError) else type(error).__name__
        raise LedgerForked(f"{file} is no checkpoint of the hub that we pinned ({kind})") from error
    return signed.checkpoint.size, signed.checkpoint.root


def _proved(receiving: Receiving, hub_key: str, ours: Seen, theirs: Seen) -> int:
    """The size of one ledger that continues both. Raises LedgerForked."""
    for _ in range(TRIES):
        first, second = (_continued(receiving, hub_key, seen) for seen in (ours, theirs))
        if (first.size, first.root) == (second.size, second.root):
            return first.size
        if first.size == second.size:
            raise LedgerForked(f"the hub has two ledgers of {first.size} entries")
    raise HubAbsent("its ledger grows all the time")


def _continued(receiving: Receiving, hub_key: str, seen: Seen) -> Shown:
    size, root = seen
    found = read(receiving.ledger(size), hub_key)
    try:
        merkle.verify_consistency(
            size, bytes.fromhex(root), found.size, bytes.fromhex(found.root), found.proof
        )
    except merkle.ProofError as error:
        raise LedgerForked(
            f"the hub's ledger of {found.size} entries does not continue the one of {size} with "
            f"root {root} ({error})"
        ) from error
    return found
