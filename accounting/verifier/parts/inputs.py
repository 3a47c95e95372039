"""Opening what the auditor gives: a file in another's place is told what it is and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accounting.verifier.parts.reading import Unreadable, parse

MOST_BYTES = 1 << 30
EXPORT = "export a bundle (bundle.json) from the ledger's page"
WITH_REPORT = "give a bundle first, and this with it: cloister_verify.py bundle.json --report FILE"
FROM_JSON = "take the report's JSON, which is the report itself"
_BEGINNINGS = (
    (b"%PDF-", "a PDF", FROM_JSON),
    (b"PK\x03\x04", "a ZIP archive", "unpack it and give the JSON file that is in it"),
    (b"\x1f\x8b", "a gzip file", "unpack it first"),
    (b"<", "a web page or XML", "save the download itself, not the page that offers it"),
    (b"report,", "a report as CSV", FROM_JSON),
)
_SCHEMAS = (
    ("cloister-ledger/", "a study's ledger.json, which has no proofs and no signatures", EXPORT),
    ("cloister-verdict/", "a verdict of this program", "give the bundle that it was about"),
)


def read(path: str) -> Any:
    """The JSON document in a file. Raises Unreadable, with the reason as a sentence."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > MOST_BYTES:
        raise Unreadable(f"{path} is larger than {MOST_BYTES} bytes")
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    _check_beginning(path, start)
    try:
        return parse(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Unreadable(f"{path} is not UTF-8 text: download it again") from error
    except Unreadable as error:
        if start[:1] not in b"{[":
            raise Unreadable(f"{path} is not JSON: {EXPORT}") from error
        raise


def _check_beginning(path: str, start: bytes) -> None:
    if not start:
        raise Unreadable(f"{path} is empty: download it again")
    for beginning, kind, advice in _BEGINNINGS:
        if start.startswith(beginning):
            raise Unreadable(f"{path} is {kind}, not JSON: {advice}")


def is_report(document: Any) -> bool:
    """Whether it is a report by itself, or one with its signatures beside it."""
    if not isinstance(document, dict):
        return False
    inside = document.get("report")
    alone = isinstance(inside, dict) and str(inside.get("schema")).startswith("cloister-privacy-")
    return alone or {"text", "sha256", "signatures"} <= set(document)


def no_bundle(document: Any) -> str:
    """What a JSON document is that has none of a bundle's schemas, and what to do."""
    schema = str(document.get("schema", "")) if isinstance(document, dict) else ""
    if not schema and is_report(document):
        return f"this is a report, not a bundle: {WITH_REPORT}"
    for beginning, kind, advice in _SCHEMAS:
        if schema.startswith(beginning):
            return f"this is {kind}, not a bundle: {advice}"
    return "" if schema else f"this is no bundle: {EXPORT}"


def no_report(document: Any) -> str:
    """What was given as a report and is none; empty where it may be one."""
    if isinstance(document, dict) and str(document.get("schema")).startswith("cloister-bundle/"):
        return "--report was given a bundle: give the bundle first, without --report"
    if not is_report(document):
        return "--report was given a file that is no report: download the report's JSON"
    return ""
