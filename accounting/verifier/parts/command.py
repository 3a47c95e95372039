"""The command: reads its arguments and files, prints the verdict, answers with a status."""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import Any

from accounting.verifier.parts.entries import Entries
from accounting.verifier.parts.findings import Verdict
from accounting.verifier.parts.inputs import no_bundle, no_report, read
from accounting.verifier.parts.reading import (
    MALFORMED,
    Unknown,
    Unreadable,
    Wrong,
    hexadecimal,
    hexadecimal_text,
    pick,
)
from accounting.verifier.parts.replay import Replay
from accounting.verifier.parts.reports import check_reports
from accounting.verifier.parts.signed import Signed

SCHEMA = "cloister-bundle/1"
LISTS = ("entries", "checkpoints", "consistency", "witnesses")
PARTS = {"schema", "hub_key", "complete", "scope", "report", *LISTS}


def main(arguments: list[str] | None = None) -> int:
    """Judge a bundle. 0: everything holds; 1: something is wrong; 2: it cannot be judged."""
    options = _options(arguments)
    verdict = Verdict()
    try:
        replay = judge(options, verdict)
    except Unreadable as error:
        return _refused(str(error), verdict, as_json=options.json)
    except MALFORMED as error:
        return _refused(f"the bundle is malformed: {error!r:.200}", verdict, as_json=options.json)
    except MemoryError:
        return _refused("the bundle does not fit in memory", verdict, as_json=options.json)
    if options.json:
        answer = verdict.to_json()
        answer["spent"] = [dict(_spent(replay, place)) for place in sorted(replay.losses)]
        _say(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        _print(verdict, replay)
    return verdict.code


def judge(options: argparse.Namespace, verdict: Verdict) -> Replay:
    """Every check in order. Raises Unreadable, or Unknown where something is newer than this."""
    document = understood(read(options.bundle))
    report = _report(options.report) if options.report else None
    pins = dict(_pin(text) for text in options.site)
    key = _check_key(document["hub_key"], options.key, verdict)
    complete = document["complete"]
    entries = Entries(document["entries"], verdict, complete=complete)
    signed = Signed(document, entries, key, verdict)
    signed.check_checkpoints()
    if not complete:
        signed.check_inclusion()
    signed.check_consistency()
    signed.check_witnesses(pins)
    replay = Replay(verdict, complete=complete)
    for number, body in sorted(entries.bodies.items()):
        replay.step(number, body)
    replay.finish()
    check_reports(document.get("report"), report, entries, replay, key, verdict)
    return replay


def understood(document: Any) -> dict[str, Any]:
    """The document, if it is a bundle of this form. Raises Unreadable or Unknown."""
    mistaken = no_bundle(document)
    if mistaken:
        raise Unreadable(mistaken)
    if document["schema"] != SCHEMA:
        raise Unknown(f"the schema {str(document['schema'])[:80]!r}")
    more = sorted(set(document) - PARTS)
    if more:
        raise Unknown(f"the part {more[0][:80]!r} of a bundle")
    try:
        hexadecimal(document, "hub_key")
        pick(document, "complete", bool)
        for name in LISTS:
            pick(document, name, list)
    except Wrong as wrong:
        raise Unreadable(f"the bundle is damaged: {wrong}") from wrong
    return document


def _report(path: str) -> Any:
    """The report in a file. Raises Unreadable where it is something else."""
    report = read(path)
    mistaken = no_report(report)
    if mistaken:
        raise Unreadable(mistaken)
    return report


def _check_key(said: str, pinned: str | None, verdict: Verdict) -> str:
    if pinned is None:
        verdict.warn(
            "key",
            f"{said} IS TAKEN FROM THE BUNDLE ITSELF: whoever forged the one forged the other. "
            "Ask the institutions which key their sites pinned, and give it with --key",
        )
        return said
    if pinned != said:
        verdict.wrong("key", f"the bundle is by {said}, not by the key you gave")
    verdict.good("key", f"{said} is the key you gave")
    return pinned


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="cloister-verify",
        description="Verifies a privacy ledger from its exported bundle, trusting nobody.",
        epilog="Exit status: 0 everything holds, 1 something is wrong, 2 it cannot be judged.",
    )
    parser.add_argument("bundle", help="the bundle, as exported from the ledger's page")
    parser.add_argument("--key", type=_key, help="the hub's public key, from a second source")
    parser.add_argument(
        "--site", action="append", default=[], metavar="NAME=KEY", help="a site's public key"
    )
    parser.add_argument("--report", metavar="FILE", help="a report (JSON) to check against it")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    return parser.parse_args(arguments)


def _key(text: str) -> str:
    try:
        return hexadecimal_text(text.strip().lower(), "the key")
    except Wrong as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from wrong


def _pin(text: str) -> tuple[str, str]:
    name, _, key = text.partition("=")
    try:
        return name, hexadecimal_text(key.strip().lower(), f"the key of {name}")
    except Wrong as wrong:
        raise Unreadable(f"--site {text}: {wrong}") from wrong


def _print(verdict: Verdict, replay: Replay) -> None:
    for line in verdict.lines():
        _say(line)
    if replay.losses:
        _say("\nWhat is spent, derived again from the events (a certified interval):")
    for place in sorted(replay.losses):
        found = _spent(replay, place)
        _say(
            f"  {found['study']} at {found['institution']}: ε in [{found['low']}, {found['high']}]"
            f" at δ = {found['delta']}; entry {found['entry']} said {found['epsilon']} "
            f"({found['accountant']})"
        )
    _say(f"\n{SENTENCES[verdict.code]}")


SENTENCES = {
    0: "The bundle holds.",
    1: "THE BUNDLE DOES NOT HOLD: see the lines marked ✗.",
    2: "The bundle cannot be judged in full: see the lines marked ?.",
}


def _spent(replay: Replay, place: tuple[str, str]) -> dict[str, str]:
    """What a study spent at an institution in the end: an abortion may have given some back."""
    loss, spent = replay.losses[place], replay.lives.spent.study(*place)
    interval, _ = replay.figures.interval("pld", spent, float(loss.delta))
    return {
        "study": place[0],
        "institution": place[1],
        "low": f"{math.floor(interval.low * 1e4) / 1e4:.4f}",
        "high": f"{math.ceil(interval.high * 1e4) / 1e4:.4f}",
        "delta": loss.delta,
        "entry": str(loss.entry),
        "epsilon": loss.epsilon,
        "accountant": loss.accountant,
    }


def _refused(why: str, verdict: Verdict, *, as_json: bool) -> int:
    """What was found before it had to stop stands: wrong stays wrong."""
    code = verdict.code or 2
    if as_json:
        answer = {**verdict.to_json(), "ok": False, "code": code, "refused": why}
        _say(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        for line in verdict.lines():
            _say(line)
        _say(f"✗ refused: {why}")
    return code


def _say(text: str) -> None:
    """Print, also where the terminal knows no mark or Greek letter; no control characters."""
    clean = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
    coding = sys.stdout.encoding or "ascii"
    sys.stdout.write(clean.encode(coding, "replace").decode(coding) + "\n")
