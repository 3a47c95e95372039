"""Loaded by Python at start: forbids Django, and writes down heavy imports and network calls."""

import os
import sys
from pathlib import Path

_RECORD = Path(os.environ["CLOISTER_TEST_RECORD"])


def _note(line: str) -> None:
    with _RECORD.open("a") as file:
        file.write(line + "\n")


class _Watch:
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in ("torch", "opacus", "dp_accounting"):
            _note(f"import {name}")
        if name.partition(".")[0] in ("django", "channels"):
            raise ModuleNotFoundError(f"No module named {name!r} (blocked)", name=name)


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.bind", "socket.listen"):
        _note(f"{event} {arguments[1:]!r}")


sys.meta_path.insert(0, _Watch())
sys.addaudithook(_hook)
