"""Commands of the site worker: enrol, check, run, baseline, journal, kept, witness."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from federation.protocol.keys import KeyFileError
from federation.site.config import ConfigError
from federation.site.enrol import EnrolmentFailed, enrol
from federation.site.folder import Folder, FolderBusy
from federation.site.journal import JournalBroken, JournalFull, as_json, read_entries
from federation.site.logs import start_logging
from federation.site.pin import NotEnrolled

_FAULTS = (
    ConfigError,
    EnrolmentFailed,
    FolderBusy,
    JournalBroken,
    JournalFull,
    KeyFileError,
    NotEnrolled,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 good, 1 something is wrong, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    folder = Folder(options.folder.resolve())
    os.umask(0o077)
    start_logging()
    try:
        return _COMMANDS[options.command](folder, options)
    except _FAULTS as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m federation.site",
        description="The worker that trains inside an institution. Its data stay where they are.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in _HELP.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--folder", type=Path, default=Path("site"), help="this site's folder (default: site)"
        )
        _OPTIONS.get(name, _no_options)(command)
    return parser


_HELP = {
    "enrol": "make this site's key and introduce it to a hub",
    "check": "check configuration, key, data, hub and clock",
    "run": "work until stopped",
    "baseline": "train on your own rows alone and compare, on this screen only",
    "journal": "show what was charged and what left",
    "kept": "show what studies left here between rounds, and remove it when they are over",
    "witness": "show what was seen of the hub's ledger, and what was refused",
}


def _no_options(command: argparse.ArgumentParser) -> None:
    """The command has the common options only."""


def _enrol_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--hub", required=True, metavar="URL", help="the hub's address")
    command.add_argument("--token", required=True, help="the enrolment token, good for one use")
    command.add_argument(
        "--force", action="store_true", help="replace an enrolment, with a new key"
    )


def _check_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--study", type=Path, metavar="FILE", help="also hold the datasets against this study file"
    )


def _baseline_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--study", metavar="SLUG", help="which study, where there are several")
    command.add_argument(
        "--model", type=Path, metavar="FILE", help="the federated model, as downloaded"
    )


def _journal_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print a JSON list")


def _kept_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--remove", metavar="STUDY", help="remove what a study that is over left")
    command.add_argument(
        "--ended", action="store_true", help="it ended before its last round, or you left it"
    )


def _witness_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--accept", action="store_true", help="hold what was refused, after a hub was restored"
    )
    command.add_argument("--reason", default="", help="why it may be trusted; kept for good")
    command.add_argument(
        "--json", action="store_true", help="print the held checkpoint, for another institution"
    )
    command.add_argument(
        "--compare", type=Path, metavar="FILE", help="hold another institution's against ours"
    )


_OPTIONS: Mapping[str, Callable[[argparse.ArgumentParser], None]] = {
    "enrol": _enrol_options,
    "check": _check_options,
    "baseline": _baseline_options,
    "journal": _journal_options,
    "kept": _kept_options,
    "witness": _witness_options,
}


def _enrol(folder: Folder, options: argparse.Namespace) -> int:
    done = enrol(folder, url=options.hub, token=options.token, force=options.force)
    say = sys.stdout.write
    say(f"Enrolled as {done.pin.name or done.pin.institution} ({done.pin.institution}).\n")
    say(f"This site's key: {done.fingerprint}\nThe hub's key:   {done.pin.hub_key}\n")
    say("Compare both with what the hub shows on the institution's page.\n")
    if done.warning:
        say(f"Warning: {done.warning}\n")
    say(
        f"Next: name your datasets and limits in {folder.config}, then\n"
        f"  python -m federation.site check --folder {folder.path}\n"
        f"  python -m federation.site run --folder {folder.path}\n"
    )
    return 0


def _check(folder: Folder, options: argparse.Namespace) -> int:
    # `check` and `run` bring in much that `enrol` and `journal` do not need.
    fitting = import_module("federation.site.fitting")
    protocol = fitting.protocol_of(options.study) if options.study else None
    good = True
    for finding in import_module("federation.site.check").check(folder, protocol):
        sys.stdout.write(f"{finding}\n")
        good = good and finding.good
    return 0 if good else 1


def _run(folder: Folder, options: argparse.Namespace) -> int:
    result: int = import_module("federation.site.worker").run(folder)
    return result


def _baseline(folder: Folder, options: argparse.Namespace) -> int:
    module = import_module("federation.site.baseline")
    return int(module.baseline(folder, options.study, options.model))


def _journal(folder: Folder, options: argparse.Namespace) -> int:
    entries = read_entries(folder.journal) if folder.journal.exists() else ()
    if options.json:
        sys.stdout.write(json.dumps(as_json(entries)) + "\n")
        return 0
    for entry in entries:
        place = f"{entry.study} round {entry.round}.{entry.attempt} {entry.phase}"
        detail = entry.reason or entry.lineage or entry.tensors_digest[:16]
        sys.stdout.write(f"{entry.sequence:>6} {entry.at} {entry.kind:<12} {place} {detail}\n")
    return 0


def _kept(folder: Folder, options: argparse.Namespace) -> int:
    keeping = import_module("federation.site.keeping")
    if options.remove:
        return int(keeping.remove(folder, options.remove, ended=options.ended))
    return int(keeping.listed(folder))


def _witness(folder: Folder, options: argparse.Namespace) -> int:
    comparing = import_module("federation.site.comparing")
    evidence = import_module("federation.site.evidence")
    if options.json:
        return int(comparing.held(folder))
    if options.compare:
        return int(comparing.compare(folder, options.compare))
    return int(evidence.accept(folder, options.reason) if options.accept else evidence.show(folder))


_COMMANDS: Mapping[str, Callable[[Folder, argparse.Namespace], int]] = {
    "enrol": _enrol,
    "check": _check,
    "run": _run,
    "baseline": _baseline,
    "journal": _journal,
    "kept": _kept,
    "witness": _witness,
}
