"""A supervisor: starts child processes, restarts the ones that die, stops those it started."""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

LONGEST_BACKOFF_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Program:
    """What to run: arguments, environment, working folder, log file and seconds to stop in.

    `sockets` are open in the child under the same numbers; the supervisor closes them in the end.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    grace_seconds: float = 4.0
    sockets: tuple[socket.socket, ...] = ()


@dataclass
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    started: float
    failures: int = 0
    due: float | None = None  # when to start it again, once it died


@dataclass
class Supervisor:
    """Owns child processes. Call `watch` now and then; call `stop` in the end, always.

    Children get their own process group, so Ctrl-C reaches the supervisor alone and it decides
    the order. Should the supervisor itself be killed, the kernel ends the children (Linux).
    """

    record: Path | None = None  # a JSON file of name → process id, kept current
    clock: Callable[[], float] = time.monotonic
    _children: dict[str, _Child] = field(default_factory=dict)

    def start(self, program: Program) -> None:
        """Start `program`; raises ValueError when one of that name runs already."""
        if program.name in self._children:
            raise ValueError(f"{program.name} is already running")
        self._children[program.name] = _Child(program, _spawn(program), self.clock())
        self._write_record()

    def watch(self) -> list[str]:
        """Start again what has died (with growing delays); returns the names that died."""
        now, died = self.clock(), []
        for child in self._children.values():
            if child.due is None and child.process.poll() is not None:
                died.append(child.program.name)
                lived_long = now - child.started > 2 * LONGEST_BACKOFF_SECONDS
                child.failures = 1 if lived_long else child.failures + 1
                child.due = now + min(0.1 * 2**child.failures, LONGEST_BACKOFF_SECONDS)
            if child.due is not None and now >= child.due:
                child.process, child.started, child.due = _spawn(child.program), now, None
                self._write_record()
        return died

    def pid(self, name: str) -> int:
        """The process id of the running program `name`."""
        return self._children[name].process.pid

    def names(self) -> tuple[str, ...]:
        """The programs in the order in which they were started."""
        return tuple(self._children)

    def stop(self) -> None:
        """End every child, the newest first; what does not end in its grace time is killed."""
        for child in reversed(self._children.values()):
            _signal(child.process, signal.SIGTERM)
        for child in reversed(self._children.values()):
            try:
                child.process.wait(timeout=child.program.grace_seconds)
            except subprocess.TimeoutExpired:
                _signal(child.process, signal.SIGKILL)
                child.process.wait()
            for held in child.program.sockets:
                held.close()
        self._children.clear()
        self._write_record()

    def _write_record(self) -> None:
        if self.record:
            pids = {name: child.process.pid for name, child in self._children.items()}
            written = self.record.with_suffix(".new")  # a reader never meets half of it
            written.write_text(json.dumps(pids))
            written.replace(self.record)


def _spawn(program: Program) -> subprocess.Popen[bytes]:
    program.log.parent.mkdir(parents=True, exist_ok=True)
    with program.log.open("ab") as log:
        return subprocess.Popen(
            program.arguments,
            env=dict(program.environment),
            cwd=program.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[held.fileno() for held in program.sockets],
            preexec_fn=_die_with_parent if os.uname().sysname == "Linux" else None,
        )


_LIBC = ctypes.CDLL(None)


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the child's whole group: a Celery parent takes its pool along."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
