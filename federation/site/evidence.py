"""What this site saw of the hub's ledger, for its people: what is held and what was refused."""

import sys

from federation.site.folder import Folder
from federation.site.pin import Pin
from federation.site.witness import Sighting, Verdict, Witness, read_sightings

CONFIRM = "accept"


def show(folder: Folder) -> int:
    """Print it; 1 while a checkpoint is refused. Raises JournalFull, JournalBroken."""
    seen = read_sightings(folder.journal) if folder.journal.exists() else ()
    say = sys.stdout.write
    if not seen:
        say("Nothing was seen of the hub's ledger yet; the first assignment brings it.\n")
        return 0
    for before, sighting in zip((None, *seen), seen, strict=False):
        if sighting.verdict != Verdict.ACCEPTED:
            say(_past(before, sighting))
    last = seen[-1]
    say(f"Held: {_held(last)}, since {last.at}; {len(seen)} seen in all.\n")
    if last.verdict != Verdict.REFUSED:
        return 0
    say(_ADVICE.format(folder=folder.path, why=last.why))
    return 1


def accept(folder: Folder, reason: str) -> int:
    """Hold what was refused from now on, when a person says so in so many words.

    Raises FolderBusy while the worker runs, NotEnrolled, JournalFull.
    """
    if not reason.strip():
        sys.stderr.write("give --reason: why this ledger may be trusted is kept for good\n")
        return 2
    with folder.alone():
        # The time is for people only; the order is the rows' own.
        witness = Witness(folder.journal, Pin.read(folder).hub_key)
        try:
            return _accepted(witness, reason.strip())
        finally:
            witness.close()


def _accepted(witness: Witness, reason: str) -> int:
    if not witness.blocked:
        sys.stdout.write("Nothing is refused: there is nothing to accept.\n")
        return 0
    sys.stdout.write(
        f"Refused: {witness.blocked}.\nWhoever accepts this gives up the proof that the hub's "
        f"ledger was not rewritten before now.\nType {CONFIRM!r} to go on: "
    )
    sys.stdout.flush()
    if sys.stdin.readline().strip() != CONFIRM:
        sys.stdout.write("Nothing was changed.\n")
        return 1
    held = witness.allow(reason)
    sys.stdout.write(f"Held from now on: {_held(held)}. Start the worker again.\n")
    return 0


def _held(sighting: Sighting) -> str:
    return f"{sighting.size} entries with root {sighting.root}"


def _past(before: Sighting | None, sighting: Sighting) -> str:
    if sighting.verdict == Verdict.ALLOWED:
        return f"Accepted by hand at {sighting.at}: {sighting.why}\n"
    held = before.shown if before else "(nothing: the first that was shown)"
    return (
        f"Refused at {sighting.at}: {sighting.why}\n"
        f"  held before: {held}\n"
        f"  shown then:  {sighting.shown or '(nothing)'}\n"
    )


_ADVICE = """
This site answers no assignment: {why}.
Both checkpoints stand above, signed by the hub; they are the proof. Keep this folder, and tell
your compliance officer and the hub's operator. Only where the hub was restored from a backup, and
you know of it from another source than the hub itself, stop the worker and run:
  python -m federation.site witness --accept --reason "TEXT" --folder {folder}
"""
